"""What fuzzing begins with: examples of RFC 7644, what identity providers really send, and old faults of parsers."""

import json
from pathlib import Path
from typing import Any

from tests.oracles.making import ENTERPRISE, GAMES, PATCH, USER

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

FILTERS = [
    'userName eq "bjensen"',
    'name.familyName co "O\'Malley"',
    f'{USER}:userName sw "J"',
    "title pr",
    'meta.lastModified gt "2011-05-13T04:42:34Z"',
    'title pr and userType eq "Employee"',
    'title pr or userType eq "Intern"',
    f'schemas eq "{ENTERPRISE}"',
    'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
    'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
    'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
    'emails[type eq "work"].value eq "bjensen@example.com"',
    'active eq "True"',
    'roles[primary eq "True"].value eq "a"',
    f"{GAMES}:score ge 7.5 and {GAMES}:level lt 100",
    f'{GAMES}:plays[hours gt 7 and not (game eq "a")]',
    'title eq "\\u0000"',
    'title eq "a\\"b"',
    "(" * 30 + "title pr" + ")" * 30,
    " or ".join(["title pr"] * 25),
]
PATHS = [
    "members",
    "name.familyName",
    'addresses[type eq "work"]',
    'members[value eq "2819c223-7f76-453a-919d-413861904646"].displayName',
    'emails[type eq "work" and value ew "example.com"].value',
    f"{ENTERPRISE}:manager",
    f"{ENTERPRISE}:manager.displayName",
    ENTERPRISE,
    'roles[primary eq "True"].value',
    "manager",
    f'{GAMES}:plays[game eq "a"].tags',
]
OPERATIONS: list[list[dict[str, Any]]] = [
    [{"op": "add", "value": {"emails": [{"value": "babs@jensen.org", "type": "home"}], "nickname": "Babs"}}],
    [{"op": "remove", "path": 'emails[type eq "work" and value ew "example.com"]'}],
    [{"op": "replace", "path": 'addresses[type eq "work"]', "value": {"type": "work", "locality": "Hollywood"}}],
    [{"op": "replace", "path": 'addresses[type eq "work"].streetAddress', "value": "1010 Broadway Ave"}],
    [{"op": "replace", "value": {"emails": [{"value": "a@x", "type": "work", "primary": True}], "nickname": "Babs"}}],
    [{"op": "Replace", "path": "active", "value": "False"}],
    [{"op": "Add", "path": "nickName", "value": "Babs"}, {"op": "Add", "path": "manager", "value": [{"value": "2"}]}],
    [{"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "E"}],
    [{"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "271"}],
    [{"op": "Add", "path": 'roles[primary eq "True"].value', "value": "ADMIN"}],
    [{"op": "Add", "path": "roles", "value": [{"value": '{"id":"1","value":"Admin","displayName":"Admin"}'}]}],
    [{"op": "Add", "path": 'emails[type eq "work"].primary', "value": "true"}],
    [{"op": "replace", "value": {"displayName": "B", "name.givenName": "K", f"{ENTERPRISE}:employeeNumber": "A"}}],
    [{"op": "replace", "value": {"active": False}}],
    [{"op": "replace", "value": {"id": "abf4", "displayName": "x"}}],
    [{"op": "remove", "path": 'members[value eq "89bb1940-b905-4575-9e7f-6f887cfb368e"]'},
     {"op": "add", "path": "members", "value": [{"value": "23a35c27-23d3-4c03-b4c5-6443c09e7173", "display": "u"}]}],
    [{"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "f648f8d5-ea4e-4cd8-a42f-86ded9c02069"}]}],
    [{"op": "replace", "path": "members", "value": []}],
]  # fmt: skip
BODIES: list[Any] = [
    {"schemas": [USER, ENTERPRISE], "externalId": "0a21", "userName": "a", "active": True, "roles": [],
     "emails": [{"primary": True, "type": "work", "value": "a@x"}], "meta": {"resourceType": "User"}},
    {"schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"], "userName": "a",
     "addresses": None, "phoneNumbers": None, "department": None, "manager": None},
    {"schemas": [USER], "userName": "a", "locale": "en-US", "groups": [], "password": "1mz050nq", "active": True},
    {"schemas": ["urn:scim:schemas:core:1.0"], "userName": "a", "name": {"givenName": "A"}},
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "G", "members": [{"value": "1"}]},
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"], "name": "bot", "validUntil": "2027-01-01T00:00:00Z"},
]  # fmt: skip
FAULTS = [b'{"a":1,"a":2}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"a":9223372036854775808}', b'{"a":1e999}',
          b'{"a":NaN}', b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", b"\xef\xbb\xbf{}", b"{}{}", b"[]", b'{"a":"\xff"}',
          b'{"a":' + b"9" * 5_000 + b"}"]  # fmt: skip
BULKS: list[Any] = [
    [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"schemas": [USER], "userName": "Alice"}},
     {"method": "POST", "path": "/Groups", "bulkId": "b", "data": {"members": [{"value": "bulkId:a"}]}}],
    [{"method": "POST", "path": "/Groups", "bulkId": "a", "data": {"members": [{"value": "bulkId:b"}]}},
     {"method": "POST", "path": "/Groups", "bulkId": "b", "data": {"members": [{"value": "bulkId:a"}]}}],
    [{"method": "PATCH", "path": "/Users/1", "version": 'W/"1"', "data": [{"op": "remove", "path": "nickName"}]},
     {"method": "DELETE", "path": "/Users/bulkId:a"}, {"method": "PUT", "path": "/Groups/1", "data": {}}],
]  # fmt: skip
LISTS = [
    "userName\nuserName,emails.value\n10\n1",
    f"{ENTERPRISE}:manager.value\n{ENTERPRISE},name.givenName\n-1\n0",
    "meta.lastModified\nid,schemas,meta.created\n1e3\n9999999999999999999",
]


def seeds_of(target: str) -> list[bytes]:
    """Return the inputs that a target begins with; the byte in front says that they are taken as they are."""
    patches = [{"schemas": [PATCH], "Operations": operations} for operations in OPERATIONS]
    bulks = [{"schemas": [BULK], "Operations": operations, "failOnErrors": 1} for operations in BULKS]
    raw: dict[str, list[bytes]] = {
        "filter": [text.encode("utf-8", "surrogatepass") for text in FILTERS],
        "path": [text.encode() for text in PATHS],
        "patch": [b"\0" + json.dumps(patch).encode() for patch in patches],
        "body": [json.dumps(body).encode() for body in [*BODIES, *patches]] + FAULTS,
        "bulk": [json.dumps(bulk).encode() for bulk in bulks] + FAULTS,
        "cursor": [b"", b"AAAA", b"e30", b"A" * 5_000],
        "list": [text.encode() for text in LISTS],
    }
    made = [b"\1" + bytes((n * step + step) % 256 for n in range(60)) for step in range(1, 40)]
    return [b"\0" + each for each in raw[target]] + made


def write_seeds(target: str, folder: Path) -> None:
    """Put the seeds where libFuzzer reads them, and writes what it finds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target)):
        (folder / f"seed-{number:03}").write_bytes(seed)
