"""However a path is spelled, what is behind a credential stays behind it: authority hangs on the route that matched."""

from collections.abc import Callable

import pytest

from tests.access.endpoint_matrix import GUARDED, Who
from tests.access.owned_objects import ADMIN_TOKEN, Estate

READS = [one for one in GUARDED if one.method == "GET" and one.status == 200 and not one.query]
TOKEN_SERVICE = [one for one in GUARDED if one.who is Who.CLIENT]


def after(prefix: str, insertion: str) -> Callable[[str], str]:
    """Return a spelling with ``insertion`` in front of the path's third part."""

    def spell(path: str) -> str:
        parts = path.split("/")
        return "/".join([*parts[:3], f"{prefix}{insertion}{parts[3]}", *parts[4:]])

    return spell


def encoded(position: int) -> Callable[[str], str]:
    """Return a spelling with the first letter of one part as a percent code."""

    def spell(path: str) -> str:
        parts = path.split("/")
        parts[position] = f"%{ord(parts[position][0]):02X}{parts[position][1:]}"
        return "/".join(parts)

    return spell


SPELLINGS: dict[str, Callable[[str], str]] = {
    "an encoded letter of the tenant": encoded(2),
    "an encoded letter behind the tenant": encoded(3),
    "an encoded letter at the end": encoded(-1),
    "an encoded slash": lambda path: "%2F".join(path.rsplit("/", 1)),
    "an encoded slash in small letters": lambda path: "%2f".join(path.rsplit("/", 1)),
    "only encoded slashes": lambda path: "/" + path[1:].replace("/", "%2F"),
    "an encoded slash encoded once more": lambda path: "%252F".join(path.rsplit("/", 1)),
    "two slashes in front": lambda path: "/" + path,
    "two slashes in the middle": after("", "/"),
    "two slashes at the end": lambda path: "//".join(path.rsplit("/", 1)),
    "a slash at the end": lambda path: path + "/",
    "a semicolon at the end": lambda path: path + ";jsessionid=1",
    "a semicolon in the middle": after("", ";/"),
    "a dot segment": after("", "./"),
    "a dot segment that leads back": after("", "x/../"),
    "an encoded dot segment that leads back": after("", "x/%2e%2e/"),
    "an encoded dot segment at the end": lambda path: path + "/%2e",
    "a public path that leads here": lambda path: "/livez/.." + path,
    "a public path that leads here, encoded": lambda path: "/livez/%2e%2e" + path,
    "capitals": str.upper,
    "a backslash": lambda path: "%5C".join(path.rsplit("/", 1)),
    "NUL at the end": lambda path: path + "%00",
    "NUL in the middle": after("", "%00"),
    "a line break": lambda path: path + "%0d%0a",
    "a tab in front": lambda path: "/%09" + path[1:],
    "not UTF-8": lambda path: path + "%ff",
    "an over-long slash": lambda path: "%C0%AF".join(path.rsplit("/", 1)),
    "full-width letters": lambda path: path + "%EF%BC%8F",
    "a suffix that some treat as a type": lambda path: path + ".json",
}


@pytest.mark.requirement("S10")
@pytest.mark.promise(4)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_path_is_answered_without_a_credential(refusing_estate: Estate, spelling: str) -> None:
    for one in READS:
        path = SPELLINGS[spelling](one.filled(refusing_estate.mine)["path"])
        for method in ("GET", "HEAD"):
            answer = refusing_estate.http.open(path, method=method)
            assert answer.status_code in (400, 401, 404, 405), (method, path, answer.status_code)


@pytest.mark.requirement("S10")
@pytest.mark.requirement("S11")
@pytest.mark.promise(4)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_path_leads_from_one_tenant_into_another(refusing_estate: Estate, spelling: str) -> None:
    sandbox = refusing_estate
    for one in READS:
        if one.who is Who.CONNECTION:
            path = SPELLINGS[spelling](one.filled(sandbox.rivals)["path"])
            answer = sandbox.http.open(path, headers=one.credential(sandbox.mine))
            assert answer.status_code in (400, 401, 404, 405), (path, answer.status_code)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_path_issues_a_token_without_a_credential(refusing_estate: Estate, spelling: str) -> None:
    for one in TOKEN_SERVICE:
        asked = one.filled(refusing_estate.mine)
        answer = refusing_estate.http.open(**asked | {"path": SPELLINGS[spelling](asked["path"])})
        assert answer.status_code in (400, 401, 404, 405), (answer.request.path, answer.status_code)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/livez"},
        {"X-Rewrite-URL": "/livez"},
        {"X-Forwarded-Prefix": "/t/acme"},
        {"X-Forwarded-Host": "identity.example", "X-Forwarded-For": "127.0.0.1"},
        {"X-HTTP-Method-Override": "GET"},
        {"Host": "localhost"},
        {"Cookie": "session=eyJhZG1pbiI6dHJ1ZX0"},
        {"X-Forwarded-User": "administrator", "Remote-User": "administrator"},
    ],
    ids=str,
)
def test_no_header_of_a_proxy_is_a_credential(refusing_estate: Estate, headers: dict[str, str]) -> None:
    for one in GUARDED:
        asked = one.filled(refusing_estate.mine)
        assert refusing_estate.http.open(**asked, headers=headers).status_code == 401, one


@pytest.mark.rfc("7644", "2.1", "2.1-3")
def test_a_credential_in_the_url_or_in_the_body_is_none(refusing_estate: Estate) -> None:
    sandbox = refusing_estate
    token = sandbox.mine["scim_token"]
    users = "/t/acme/scim/v2/Users"
    assert sandbox.http.get(f"{users}?access_token={token}").status_code == 401
    assert sandbox.http.post(f"{users}/.search", data={"access_token": token}).status_code == 401
    assert sandbox.http.get(f"/admin/v1/tenants?access_token={ADMIN_TOKEN}").status_code == 401
    secret = {"client_id": sandbox.mine["client"], "client_secret": sandbox.mine["client_secret"]}
    asked = {"grant_type": "client_credentials", **secret}
    assert sandbox.http.post("/t/acme/oauth/token", data=asked).status_code == 401
