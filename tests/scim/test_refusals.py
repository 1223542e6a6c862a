"""What no source may do over SCIM: malformed bodies, what is another's, and paths round the token."""

import json
from typing import Any

import pytest

from identity.edge.runtime import Runtime
from scim.limits import PAGE_SIZE_MAX
from tests.scim.sources import AGENT, ENTERPRISE, ERROR, GROUP, USER, Source, Sources
from tests.scim.test_resources import KINDS, NOBODY, found

GOOD = {"schemas": [USER], "userName": "x"}


@pytest.mark.rfc("7644", "3.12", "3.12-3")
@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        (b"{", "invalidSyntax"),
        (b"\xff\xfe", "invalidSyntax"),
        (b'{"userName": "x"}', "invalidSyntax"),
        (b'{"schemas": "x"}', "invalidSyntax"),
        (b'{"schemas": ["urn:nope"], "userName": "x"}', "invalidSyntax"),
        (b'{"schemas": ["%s"], "userName": "x", "userName": "y"}' % USER.encode(), "invalidSyntax"),
        (b'{"schemas": ["%s"], "userName": "x", "username": "y"}' % USER.encode(), "invalidSyntax"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "invalidSyntax"),
        (b'{"a":' * 50_000, "invalidSyntax"),
        (b'{"a": NaN}', "invalidSyntax"),
        (b'{"a": 9223372036854775808}', "invalidValue"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalidSyntax"),
        (b'{"a": 1e999}', "invalidValue"),
        (b'{"a": "\\u0000"}', "invalidValue"),
        (b'{"a": "\\ud800"}', "invalidValue"),
        ({"schemas": [USER]}, "invalidValue"),
        ({**GOOD, "userName": ""}, "invalidValue"),
        ({**GOOD, "userName": None}, "invalidValue"),
        ({**GOOD, "userName": 5}, "invalidValue"),
        ({**GOOD, "userName": "x" * 257}, "invalidValue"),
        ({**GOOD, "userName": "\ufdfa" * 200}, "invalidValue"),
        ({**GOOD, "userName": "a\u200bb"}, "invalidValue"),
        ({**GOOD, "active": "False"}, "invalidValue"),
        ({**GOOD, "emails": {"value": "x"}}, "invalidValue"),
        ({**GOOD, "emails": ["x"]}, "invalidValue"),
        ({**GOOD, "emails": [{"value": "x" * 321}]}, "invalidValue"),
        ({**GOOD, "externalId": "x" * 513}, "invalidValue"),
        ({**GOOD, "displayName": "x" * 257}, "invalidValue"),
        ({**GOOD, "x509Certificates": [{"value": "not base64!"}]}, "invalidValue"),
        ({**GOOD, ENTERPRISE: "x"}, "invalidSyntax"),
    ],
)
def test_a_malformed_body_is_refused_for_its_fault(rfc: Source, body: Any, scim_type: str) -> None:
    assert rfc.post("/Users", body, 400)["scimType"] == scim_type
    assert rfc.get("/Users")["totalResults"] == 0


def test_the_longest_names_fit_into_their_indexes(rfc: Source) -> None:
    rfc.user(
        "\u0390" * 85,
        externalId="".join(chr(0x10400 + n) for n in range(512)),
        displayName="".join(chr(0x1E000 + n) for n in range(256)),
        emails=[{"value": "".join(chr(0x20000 + n) for n in range(320))}],
    )


@pytest.mark.rfc("7644", "3.12", "3.12-3")
def test_a_body_beyond_the_limit_is_refused_unread(rfc: Source, runtime: Runtime) -> None:
    rfc.post("/Users", b" " * (runtime.body_bytes_max + 1), 413)
    config = rfc.get("/ServiceProviderConfig")
    assert config["bulk"]["maxPayloadSize"] == runtime.body_bytes_max
    assert config["filter"]["maxResults"] == PAGE_SIZE_MAX


def test_a_body_of_another_type_is_refused(rfc: Source) -> None:
    rfc.answer("POST", "/Users", GOOD, status=400, Content_Type="text/plain")
    rfc.answer("POST", "/Users", GOOD, status=201, Content_Type="application/json; charset=utf-8")


@pytest.mark.requirement("S9")
@pytest.mark.rfc("7644", "7.7", "7.7-1")
def test_no_character_of_a_filters_value_means_anything(rfc: Source) -> None:
    rfc.user("sam", title="VP", displayName="Sam", externalId="7", emails=[{"value": "s@x"}])
    for attribute in ("userName", "title", "emails.value", "displayName", "externalId", "id"):
        for text in ('co "%"', 'sw "_"', 'ew "\\\\"', 'eq "x\' OR 1=1--"', 'co "\\""', f'eq "{"x" * 1000}"'):
            assert found(rfc, "Users", f"{attribute} {text}") == [], (attribute, text)


@pytest.mark.requirement("S13")
@pytest.mark.requirement("S15")
@pytest.mark.rfc("7644", "2", "2-4", "2-5", "2-6")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
@pytest.mark.rfc("7644", "7.7", "7.7-3")
def test_another_connection_may_read_but_neither_change_nor_adopt(rfc: Source, sources: Sources) -> None:
    sam = rfc.user("sam", emails=[{"value": "s@x"}])
    other = sources.make("acme", "entra", "other")
    assert other.get(f"/Users/{sam}")["userName"] == "sam"
    other.patch(f"/Users/{sam}", {"op": "replace", "path": "active", "value": False}, status=403)
    other.put(f"/Users/{sam}", {"schemas": [USER], "userName": "sam"}, status=403)
    other.delete(f"/Users/{sam}", status=403)
    assert other.post("/Users", {"schemas": [USER], "userName": "SAM"}, 409)["scimType"] == "uniqueness"
    assert rfc.get(f"/Users/{sam}")["meta"]["version"] == 'W/"1"'


# --- walls ---


@pytest.mark.promise(4)
@pytest.mark.parametrize(("endpoint", "body"), KINDS.items())
def test_what_is_another_tenants_is_answered_like_what_is_not_there(
    rfc: Source, rival: Source, endpoint: str, body: dict[str, Any]
) -> None:
    theirs = rival.post(f"/{endpoint}", body)["id"]
    operation = {"op": "replace", "path": "displayName", "value": "x"}
    for path in (f"/{endpoint}/{theirs}", f"/{endpoint}/{NOBODY}", f"/{endpoint}/nonsense"):
        answers = [
            rfc.get(path, 404),
            rfc.put(path, body, 404),
            rfc.patch(path, operation, status=404),
            rfc.delete(path, 404),
        ]
        assert {json.dumps(answer) for answer in answers} == {json.dumps(answers[0])}
    assert rfc.get(f"/{endpoint}?filter=id%20eq%20%22{theirs}%22")["totalResults"] == 0
    assert rfc.get(f"/{endpoint}")["totalResults"] == 0
    assert rival.get(f"/{endpoint}/{theirs}")["meta"]["version"] == 'W/"1"'


@pytest.mark.promise(4)
def test_a_member_or_owner_of_another_tenant_is_a_member_that_is_not_there(rfc: Source, rival: Source) -> None:
    theirs = rival.user("eve")
    for id_ in (theirs, NOBODY):
        link = [{"value": id_}]
        group = rfc.post("/Groups", {"schemas": [GROUP], "displayName": "G", "members": link}, 400)
        agent = rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": "a", "owners": link}, 400)
        assert group["detail"].replace(id_, "") == "members: no resource has the id "
        assert agent["detail"].replace(id_, "") == "owners: no user or group has the id "
    assert rfc.get("/Groups")["totalResults"] == rfc.get("/Agents")["totalResults"] == 0


@pytest.mark.requirement("S11")
@pytest.mark.promise(4)
def test_a_token_opens_its_own_tenant_only(rfc: Source, rival: Source) -> None:
    stray = Source(rfc.http, "rival", rfc.token, rival.tenant_id)
    unknown = Source(rfc.http, "nowhere", rfc.token, rival.tenant_id)
    assert stray.ask("GET", "/Users").status_code == 401
    assert unknown.get("/Users", 404)["schemas"] == [ERROR]


SPELLINGS = [
    "/t/acme/scim%2Fv2/Users", "/t/acme/%73cim/v2/Users", "//t/acme/scim/v2/Users", "/t/acme/scim/v2//Users",
    "/t/acme/scim/v2/Users/", "/t/acme/scim/v2/%55sers", "/t/acme/scim/v2/./Users", "/t/acme/scim/v2/Users%00",
    "/t/acme/scim/v2/Users%2F..", "/t/acme/scim/v2", "/t/acme/scim/v2/", "/t/acme/scim/v2/Schemas",
]  # fmt: skip


@pytest.mark.requirement("S10")
def test_no_spelling_of_a_path_goes_round_the_token(rfc: Source) -> None:
    rfc.user("sam")
    for token in (None, "Bearer", "Bearer wrong", "Basic eDp5", "Bearer \u00e9"):
        headers = {"Authorization": token} if token else {}
        for path in SPELLINGS:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                response = rfc.http.open(path, method=method, headers=headers)
                assert response.status_code in (401, 404, 308), (method, path, token)
                assert b"sam" not in response.data


@pytest.mark.rfc("7644", "2", "2-3")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
def test_a_refused_token_is_told_how_to_come_in(rfc: Source) -> None:
    response = rfc.http.get(rfc.url("/Users"))
    assert (response.status_code, response.content_type) == (401, "application/scim+json")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.headers["Cache-Control"] == "no-store"
