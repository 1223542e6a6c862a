"""Filters, paths, documents and operations made by choosing: by the bytes of hypothesis, or of a fuzzer."""

import json
from collections.abc import Callable, Sequence
from typing import Any

Choose = Callable[[Sequence[Any]], Any]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GAMES = "urn:example:scim:schemas:extension:games:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

EXTENSION: dict[str, Any] = {
    "id": GAMES,
    "name": "Games",
    "attributes": [
        {"name": "level", "type": "integer"},
        {"name": "score", "type": "decimal"},
        {"name": "born", "type": "dateTime"},
        {"name": "badge", "type": "binary"},
        {"name": "nicks", "type": "string", "multiValued": True},
        {"name": "lucky", "type": "integer", "multiValued": True},
        {"name": "code", "type": "string", "caseExact": True, "mutability": "immutable"},
        {"name": "rank", "type": "string", "mutability": "readOnly"},
        {
            "name": "plays",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [
                {"name": "game", "type": "string", "caseExact": True},
                {"name": "hours", "type": "integer"},
                {"name": "since", "type": "dateTime"},
                {"name": "won", "type": "boolean"},
                {"name": "seat", "type": "string", "mutability": "immutable"},
                {"name": "tags", "type": "string", "multiValued": True},
            ],
        },
        {
            "name": "clan",
            "type": "complex",
            "subAttributes": [
                {"name": "name", "type": "string"},
                {"name": "size", "type": "integer"},
                {"name": "colours", "type": "string", "multiValued": True},
                {"name": "founder", "type": "string", "mutability": "readOnly"},
                {"name": "crest", "type": "string", "mutability": "immutable"},
            ],
        },
    ],
}
"""An extension with every type, so that nothing depends on what users happen to have."""

WORDS = [
    "a",
    "A",
    "ab",
    "b",
    "work",
    "Work",
    "home",
    "a@x.example",
    "%",
    "_",
    "\\",
    'q"',
    "a%b",
    "é",
    "É",
    "日本",
    "x@y.example",
    "",
]
NUMBERS = ["0", "-1", "7", "7.0", "7.5", "1e2", "9223372036854775807", "12345678901234567890", "01", "1.", "-", "1e999"]
INSTANTS = ["2026-11-24T12:00:00Z", "2026-11-24T13:00:00+01:00", "2011-05-13T04:42:34.5Z", "2011-05-13T04:42:34",
            "2011-05-13", "2011-W05-1T00:00:00", "9999-12-31T23:59:59-01:00", "T"]  # fmt: skip
TEXT_PATHS = [
    "userName", "USERNAME", "title", "userType", "displayName", "externalId", "name.familyName", "NAME.givenname",
    "emails", "emails.value", "emails.type", "roles.value", "roles.type", "roles", "addresses.locality", "profileUrl",
    f"{USER}:title", f"{USER.upper()}:userType", f"{ENTERPRISE}:department", f"{ENTERPRISE.lower()}:COSTCENTER",
    f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value", f"{GAMES}:nicks", f"{GAMES}:code", f"{GAMES}:plays.game",
    f"{GAMES}:plays.tags", f"{GAMES}:clan.name", f"{GAMES}:clan.colours", "id", "meta.version", "meta.resourceType",
    "schemas",
]  # fmt: skip
OTHER_PATHS = [
    "active", "emails.primary", "roles.primary", "name", "meta", "meta.created", "meta.lastModified", "meta.location",
    "addresses", "x509Certificates.value", f"{GAMES}:level", f"{GAMES}:score", f"{GAMES}:born", f"{GAMES}:badge",
    f"{GAMES}:lucky", f"{GAMES}:plays", f"{GAMES}:plays.hours", f"{GAMES}:plays.since", f"{GAMES}:plays.won",
    f"{GAMES}:clan", f"{GAMES}:clan.size", f"{GAMES}:rank", ENTERPRISE, GAMES, USER, f"{ENTERPRISE}:manager.$ref",
    "groups", "groups.value", "nope", "emails.nope", f"{ENTERPRISE}:nope", "urn:x:y", "password", "department", "level",
    "userName.value", "a.b.c", "1a", "emails.", ".value", "pr", "not", "true",
]  # fmt: skip
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "Co", "regex"]
GROUPS = {
    "emails": ["value", "type", "primary", "display", "nope"],
    "roles": ["value", "type", "primary"],
    "addresses": ["type", "locality", "primary"],
    f"{GAMES}:plays": ["game", "hours", "since", "won", "tags"],
    f"{GAMES}:nicks": ["value", "nope"],
    f"{GAMES}:lucky": ["value"],
    "name": ["givenName"],
    "groups": ["value", "$ref"],
    "schemas": ["value"],
}


def chooser(choices: bytes) -> Choose:
    """Return what chooses by one byte after the other, and takes the first option when none is left."""
    left = iter(choices)
    return lambda options: options[next(left, 0) % len(options)]


def a_filter(choose: Choose, depth: int = 3) -> str:
    shape = choose(["term", "term", "term", "group", "and", "or", "not", "brackets"] if depth else ["term", "group"])
    match shape:
        case "term":
            return a_term(choose, choose([TEXT_PATHS, TEXT_PATHS, OTHER_PATHS]))
        case "group":
            return a_group(choose) + choose(["", "", "", ".value eq " + a_literal(choose), " pr", ".type pr"])
        case "not":
            return f"{choose(['not', 'NOT', 'not '])}({a_filter(choose, depth - 1)})"
        case "brackets":
            return f"({a_filter(choose, depth - 1)})"
        case op:
            left, right = a_filter(choose, depth - 1), a_filter(choose, depth - 1)
            return f"{left} {choose([op, op.upper()])} {right}"


def a_group(choose: Choose) -> str:
    path = choose(list(GROUPS))
    inner = a_term(choose, GROUPS[path])
    while choose([False, False, True]):
        inner = choose([
            "{0} and {1}", "{0} or {1}", "not ({0}) or {1}", "not ({0})", "({0}) and {1}", "emails[{0}]",
        ]).format(inner, a_term(choose, GROUPS[path]))  # fmt: skip
    return f"{path}[{inner}]"


def a_term(choose: Choose, paths: Sequence[str]) -> str:
    path = choose(paths)
    if choose([False, False, False, True]):
        return f"{path} pr"
    return f"{path}{choose([' ', ' ', ' ', '  '])}{choose(OPERATORS)} {a_literal(choose)}"


def a_literal(choose: Choose) -> str:
    match choose(["word", "word", "word", "number", "instant", "other"]):
        case "word":
            return json.dumps(choose(WORDS), ensure_ascii=choose([True, False]))
        case "number":
            return str(choose(NUMBERS))
        case "instant":
            return json.dumps(choose(INSTANTS))
    return str(choose(["true", "false", "null", "True", '"true"', '"null"', '"\\u0000"', '"\\ud800"', '"a\nb"', "x",
                       f'"{ENTERPRISE}"', f'"{GAMES}"', '"W/\\"1\\""', '"User"', "''"]))  # fmt: skip


# --- documents -------------------------------------------------------------------------------------------------


def a_document(choose: Choose) -> dict[str, Any]:
    """Return a user as it is stored: spelt as the schema does, with nothing empty in it."""
    document: dict[str, Any] = {"userName": choose([word for word in WORDS if word])}
    for name in ("title", "userType", "displayName", "externalId"):
        _maybe(choose, document, name, [word for word in WORDS if word])
    _maybe(choose, document, "active", [True, False])
    _maybe(choose, document, "name", [{"familyName": "a", "givenName": "A"}, {"familyName": "é"}, {"formatted": "b"}])
    _maybe(choose, document, "emails", EMAILS)
    _maybe(choose, document, "roles", ROLES)
    _maybe(choose, document, "addresses", [[{"type": "work", "locality": "ab"}, {"type": "home", "locality": "É"}]])
    _maybe(choose, document, ENTERPRISE, ENTERPRISES)
    _maybe(choose, document, GAMES, GAMESTERS)
    return document


def _maybe(choose: Choose, document: dict[str, Any], name: str, values: Sequence[Any]) -> None:
    if choose([False, True]):
        document[name] = choose(values)


EMAILS: list[Any] = [
    [{"value": "a@x.example", "type": "work", "primary": True}],
    [{"value": "a@x.example", "type": "work", "primary": True}, {"value": "b@x.example", "type": "home"}],
    [{"value": "a@x.example", "type": "work"}, {"value": "A@x.example", "type": "Work", "primary": True},
     {"value": "%@x.example", "display": "ab"}],
    [{"type": "home"}, {"value": "x@y.example", "type": "work", "primary": False}],
    [{"value": "b@x.example"}],
]  # fmt: skip
ROLES: list[Any] = [
    [{"value": "a"}, {"value": "A", "type": "b"}],
    [{"value": "ab", "primary": True}, {"value": "b", "primary": False}],
    [{"value": ""}],
]
ENTERPRISES: list[Any] = [
    {"department": "a"},
    {"costCenter": "A", "department": "ab", "manager": {"value": "26118915-6090-4610-87e4-49d8ca9f808d"}},
    {"manager": {"value": "a"}},
]
GAMESTERS: list[Any] = [
    {"level": 7, "score": 7.5, "born": "2011-05-13T04:42:34.500000Z", "badge": "YQ==", "code": "A"},
    {"nicks": ["a", "É"], "lucky": [0, 7, -1], "code": "a"},
    {"plays": [{"game": "a", "hours": 7, "won": True, "tags": ["a", "b"]}, {"game": "A", "hours": 100, "seat": "a"}]},
    {"plays": [{"game": "ab", "since": "2026-11-24T12:00:00Z"}, {"hours": 0, "won": False}], "score": 100},
    {"clan": {"name": "a", "size": 7, "colours": ["a", "b"], "crest": "a"}, "level": 9223372036854775807},
]

# --- operations ------------------------------------------------------------------------------------------------

PLACES = [
    None, None, "", "userName", "title", "TITLE", "nickName", "displayName", "active", "name", "name.familyName",
    "name.formatted", "emails", "emails.value", "emails.primary", "emails.type", "roles", "addresses",
    "addresses.locality", ENTERPRISE, f"{ENTERPRISE}:department", f"{ENTERPRISE.upper()}:Department", "department",
    f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value", f"{ENTERPRISE}:manager.$ref", "manager", USER,
    f"{USER}:title", f"{USER}:name.familyName", GAMES, f"{GAMES}:level", "level", f"{GAMES}:score", f"{GAMES}:born",
    f"{GAMES}:badge", f"{GAMES}:nicks", f"{GAMES}:lucky", f"{GAMES}:code", "code", f"{GAMES}:rank", f"{GAMES}:plays",
    f"{GAMES}:plays.game", f"{GAMES}:plays.tags", f"{GAMES}:plays.won", f"{GAMES}:clan", f"{GAMES}:clan.colours",
    f"{GAMES}:clan.size", f"{GAMES}:clan.founder", f"{GAMES}:clan.crest",
    f"{ENTERPRISE}:manager.displayName", "id", "meta", "schemas",
    "groups", "groups.value", "externalId", "profileUrl", "x509Certificates", "nope", "emails.nope", "name.x",
    "[", "emails[", "title pr", "userName eq", "a.b.c", "not (title)", "urn:x", 5,
]  # fmt: skip
SELECTIONS = [
    'value eq "a@x.example"', 'value co "x.example"',
    'type eq "work"', 'type eq "WORK"', 'type eq "nope"', 'value eq "a"', "primary eq true", 'primary eq "True"',
    'type eq "work" and value eq "a"', 'type eq "home" or value eq "a"', 'not (type eq "work")', "value pr", "type pr",
    'nope eq "x"', "value", 'value eq "b"', 'value ne "a"',
]  # fmt: skip
SELECTING = ["emails", "EMAILS", "roles", "addresses", "name", "title", "groups", ENTERPRISE]
GAME_SELECTIONS = ["hours gt 7", 'game eq "a"', "won eq true", 'since ge "2011-05-13T04:42:34Z"', 'tags eq "a"']
VALUES: list[Any] = [
    None, "", "a", "b", "A", "True", True, False, 0, 7, 7.5, 2**63, -1, [], {}, [None], [{}], ["a"], ["a", "b", "a"],
    [7, 7], "2026-11-24T12:00:00Z", "2026-11-24", "YQ==", "Y", {"value": "a"}, {"value": None}, {"value": ""},
    [{"value": "a"}], [{"value": "a", "type": "work", "primary": True}], [{"value": "b", "type": "home"}],
    {"value": "c", "type": "other", "primary": True}, {"value": "c", "primary": False}, {"primary": True},
    [{"value": "c", "primary": True}, {"value": "d", "primary": True}], [{"value": "c"}, {"value": "c"}],
    {"type": "work", "locality": "x"}, {"type": None}, {"familyName": "b"}, {"familyName": None},
    {"familyName": "b", "FAMILYNAME": "c"}, {"GIVENNAME": "x", "nope": 1}, {"nope": 1}, {"formatted": 5},
    {"displayName": "Bob"}, {"$ref": "https://x.example/Users/271"}, {"$ref": None}, {"department": "x"},
    {"manager": {"value": "c"}}, {"manager": None}, {"department": None, "costCenter": "1"}, "https://x.example/a",
    {"game": "c", "hours": 1}, [{"game": "c", "tags": ["x"]}], {"tags": "x"}, {"tags": ["x", "a"]},
    {"name": "b", "colours": ["a", "c"]}, {"size": None}, {"founder": "x"}, {"crest": "b"}, {"seat": "b"},
    {"seat": "a"}, {"level": 1, "nicks": ["x"]}, "x" * 300,
]  # fmt: skip
TEXTS: list[Any] = ["a", "b", "Work", "é", "", None]
LINKS: list[Any] = [{"value": "c"}, {"$ref": "https://x.example/Users/271"}, {"value": None},
                    {"$ref": None, "value": "d"},
                    {"displayName": "Bob"}, None]  # fmt: skip
MAILS: list[Any] = [
    [{"value": "c@x.example", "type": "work"}], {"value": "a@x.example", "type": "work", "primary": True},
    [{"value": "b@x.example", "type": "home"}, {"value": "d@x.example", "primary": True}], {"type": "other"}, [], None,
    {"value": "c@x.example", "primary": False}, {"display": "x"}, {"nope": 1}, [{"value": "e"}, {"value": "e"}],
]  # fmt: skip
PLAYS: list[Any] = [
    {"game": "c", "hours": 1}, [{"game": "a", "hours": 7, "won": True, "tags": ["a", "b"]}], {"tags": ["x"]}, [],
    [{"seat": "b"}, {"since": "2026-11-24T13:00:00+01:00"}], {"seat": "a", "won": False}, {"nope": 1}, None,
]  # fmt: skip
NAMES: list[Any] = [{"familyName": "b"}, {"givenName": None, "formatted": "x"}, {"FamilyName": None}, {}, {"nope": 1},
                    {"honorificPrefix": "Dr"}, None]  # fmt: skip
CLANS: list[Any] = [{"name": "b"}, {"size": None, "colours": ["c"]}, {"crest": "a"}, {"crest": "b"}, {"founder": "x"}]
FITTING: dict[str, list[Any]] = {
    "active": [True, False, None], "primary": [True, False, None], "won": [True, False, None], "name": NAMES,
    "emails": MAILS, "roles": MAILS, "addresses": [{"type": "work", "locality": "x"}, [{"locality": "y"}], []],
    "manager": LINKS, "level": [0, 7, -1, None], "hours": [0, 7, 8, None], "size": [1, None], "score": [0.5, 7, None],
    "born": INSTANTS, "since": INSTANTS, "badge": ["YQ==", "", None], "nicks": [["a"], "a", ["b", "b"], [], None],
    "lucky": [[7], 7, [0, 1], []], "tags": [["a"], "x", ["x", "a"], [], None],
    "colours": [["a", "c"], "c", []],
    "plays": PLAYS, "clan": CLANS,
    "user": [{"department": "x"}, {"title": "x", "name": {"formatted": "y"}}, {"level": 1}, {}],
}  # fmt: skip
"""Values that an attribute of this name can have; any other has a text."""


def a_value(choose: Choose, path: Any) -> Any:
    """Return a value: mostly one that fits."""
    if choose([False, False, False, True]):
        return choose(VALUES)
    head, _, tail = str(path).rpartition("]")
    name = tail if tail else head.split("[")[0]
    return choose(FITTING.get(name.rsplit(":", 1)[-1].rsplit(".", 1)[-1].lower(), TEXTS))


KEYS = [
    "title", "TITLE", "nickName", "userName", "active", "name", "emails", "roles", ENTERPRISE, GAMES, "department",
    "manager", "level", "schemas", "id", "meta", "groups", "name.familyName", f"{ENTERPRISE}:department", "nope", USER,
    "code", "plays", "clan", "externalId", "displayName", 'emails[type eq "work"].value', "",
]  # fmt: skip


def a_patch(choose: Choose) -> dict[str, Any]:
    operations = [an_operation(choose)]
    while len(operations) < 6 and choose([False, True, True]):
        operations.append(an_operation(choose))
    return {"schemas": [PATCH], "Operations": operations}


def an_operation(choose: Choose) -> dict[str, Any]:
    operation: dict[str, Any] = {"op": choose(["add", "replace", "remove", "add", "replace", "Add", "move"])}
    path = a_path(choose)
    if path is not None or choose([True, False, False]):
        operation["path"] = path
    if operation["op"] != "remove" or choose([True, False, False, False]):
        operation["value"] = a_part(choose) if path in (None, "") else a_value(choose, path)
    return operation


def a_path(choose: Choose) -> Any:
    match choose(["plain", "plain", "selecting", "games"]):
        case "plain":
            return choose(PLACES)
        case "selecting":
            tail = choose(["", "", ".value", ".primary", ".type", ".nope", ".display", " pr", ".locality"])
            return f"{choose(SELECTING)}[{choose(SELECTIONS)}]{tail}"
    return f"{GAMES}:plays[{choose(GAME_SELECTIONS)}]{choose(['', '.hours', '.tags', '.won', '.since', '.seat'])}"


def a_part(choose: Choose) -> Any:
    if choose([False] * 7 + [True]):
        return choose(VALUES)
    part: dict[str, Any] = {}
    while not part or choose([False, True]):
        key = choose(KEYS)
        part[key] = a_value(choose, key)
    return part
