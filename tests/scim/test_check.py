"""The self-test of SCIM servers: it passes where it should, names what is wrong, and leaves nothing behind."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask, Response, request

from cli.main import main
from tests.scim.sources import Source, Sources

Run = Callable[..., Result]


def check(base_url: str, token: str, *words: str, exit_code: int = 0, **more: Any) -> Result:
    result = CliRunner().invoke(main, ["scim", "check", base_url, token, *words], **more)
    assert result.exit_code == exit_code, (result.exit_code, result.output)
    return result


def verdicts(result: Result) -> dict[str, str]:
    items = json.loads(result.stdout)["items"]
    assert all(item["section"] for item in items)
    return {item["check"]: item["verdict"] for item in items}


def assert_nothing_is_left(source: Source) -> None:
    assert source.get("/Users")["totalResults"] == 0
    assert source.get("/Groups")["totalResults"] == 0


@pytest.mark.parametrize("dialect", ["rfc", "onelogin", "jumpcloud", "sailpoint"])
def test_the_server_passes_and_nothing_is_left_behind(sources: Sources, base_url: str, dialect: str) -> None:
    source = sources.make("acme", dialect)
    found = verdicts(check(base_url, source.token, "--json"))
    assert set(found.values()) <= {"passed", "differs"}
    assert_nothing_is_left(source)


@pytest.mark.parametrize(
    ("dialect", "named", "differs"),
    [("entra", "entra", {"okta"}), ("okta", "okta", {"entra"})],
)
def test_a_connection_of_a_dialect_reads_all_that_its_source_sends(
    sources: Sources, base_url: str, dialect: str, named: str, differs: set[str]
) -> None:
    source = sources.make("acme", dialect)
    assert "failed" not in verdicts(check(base_url, source.token, "--as", named, "--json")).values()
    [other] = differs
    assert "failed" in verdicts(check(base_url, source.token, "--as", other, "--json", exit_code=1)).values()
    assert_nothing_is_left(source)


def test_a_person_sees_a_table_with_the_sections(rfc: Source, base_url: str) -> None:
    shown = check(base_url, rfc.token).stdout
    assert "RFC 7644 §3.5.2.2" in shown
    assert rfc.token not in shown


def test_the_token_may_come_from_standard_input(rfc: Source, base_url: str) -> None:
    check(base_url, "-", "--json", input=rfc.token + "\n")


Spoil = Callable[[Any], Any]


def spoilt(where: str, member: str, value: Any) -> Spoil:
    def spoil(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, member: value} if where in body["schemas"][0] and member in body else body

    return spoil


@pytest.mark.parametrize(
    ("spoil", "failed"),
    [
        (spoilt("Error", "scimType", "conflict"), "The same userName again is a conflict"),
        (spoilt("Error", "status", 404), "What is not there is a 404 in SCIM's words"),
        (spoilt("ListResponse", "totalResults", "1"), "A search that finds nobody is an empty list"),
        (spoilt("User", "id", ""), "A user is created"),
        (spoilt("ServiceProviderConfig", "patch", None), "The ServiceProviderConfig says what is supported"),
        (spoilt("Group", "members", [{"value": "x"}]), "A group is created with a member"),
    ],
)
def test_a_server_with_one_fault_fails_for_that_fault(
    app: Flask, rfc: Source, base_url: str, spoil: Spoil, failed: str
) -> None:
    @app.after_request
    def change(response: Response) -> Response:
        if response.content_type == "application/scim+json" and request.method != "PATCH":
            response.set_data(json.dumps(spoil(json.loads(response.data))))
        return response

    found = verdicts(check(base_url, rfc.token, "--json", exit_code=1))
    assert [verdict for title, verdict in found.items() if title.startswith(failed)] == ["failed"]


def test_what_cannot_be_taken_away_again_is_said(app: Flask, rfc: Source, base_url: str) -> None:
    @app.before_request
    def refuse() -> Response | None:
        return Response(status=500) if request.method == "DELETE" else None

    result = check(base_url, rfc.token, "--json", exit_code=1)
    left = [item for item in json.loads(result.stdout)["items"] if item["check"] == "Clean up"]
    assert len(left) == rfc.get("/Users")["totalResults"] + rfc.get("/Groups")["totalResults"] > 0


@pytest.mark.parametrize(
    ("url", "token", "exit_code", "said"),
    [
        ("{}", "wrong-token", 4, "the server refuses this token"),
        ("http://127.0.0.1:9/scim", "t", 3, "does not answer"),
        ("http://scim.example/v2", "t", 2, "must be https://"),
        ("scim.example", "t", 2, "BASE_URL is"),
        ("{}", "wröng", 2, "contains invalid characters"),
    ],
)
def test_what_cannot_be_asked_is_explained(
    rfc: Source, base_url: str, url: str, token: str, exit_code: int, said: str
) -> None:
    assert said in check(url.format(base_url), token, exit_code=exit_code).stderr
