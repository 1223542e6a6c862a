"""What `identity dev` prints in the cases that a start by hand does not meet."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.environment import variables_of
from cli.printout import document, greeting, what_next
from dev.example_tenant import ExampleTenant
from dev.preparation import Prepared
from dev.supervisor import Ready

URL = "http://127.0.0.1:8080"
CLIENTS = dict.fromkeys(("invoice-bot", "ocr-bot", "erp"), ("ID", "SECRET"))
EXAMPLE = ExampleTenant(True, {"sam": "SAM"}, "TOKEN", CLIENTS)  # as an earlier version made it
WITH_BOTH_SERVICES = replace(EXAMPLE, clients=EXAMPLE.clients | {"ledger": ("ID", "SECRET")})
HINT = "start with: "


def ready(token: str | None = "idf_admin_x", *, is_given: bool = False) -> Ready:
    return Ready(URL, Path("/d a/ta"), 1.0, token, admin_token_is_given=is_given)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("active", None),
        ("deprovisioned", "begin with command 4"),
        ("suspended", " agent reactivate acme sam@acme.example --kind user"),
        ("deleted", "start with another folder"),
    ],
)
def test_where_sam_is_not_active_it_says_what_to_do(state: str, words: str | None) -> None:
    said = what_next(ready(), Prepared(EXAMPLE, state))
    first = said.splitlines()[0]
    assert first == "Try next, in another terminal:" if words is None else words in first


@pytest.mark.parametrize(
    ("prepared", "words"),
    [
        (Prepared(is_taken=True), "was made by an earlier version or by an administrator, and is left as it is"),
        (Prepared(fault="ReadError: lost"), "the next start goes on with it. ReadError: lost"),
    ],
)
def test_what_could_not_be_made_is_told(prepared: Prepared, words: str) -> None:
    assert words in what_next(ready(), prepared)
    assert words in str(document(ready(), prepared)["fault"])
    assert HINT not in what_next(ready(), prepared)
    assert document(ready(), prepared)["commands"] == {}


def test_without_a_tenant_to_try_it_says_how_to_get_one() -> None:
    assert HINT in what_next(ready(), Prepared())
    assert document(ready(), Prepared())["fault"] is None


def test_a_token_that_the_environment_gives_is_not_printed() -> None:
    given = ready("of-the-environment", is_given=True)
    assert "of-the-environment" not in greeting(given)
    assert "IDENTITY_ADMIN_TOKEN" in greeting(given)
    assert document(given, Prepared())["admin_token"] is None


def test_a_folder_is_named_as_a_shell_reads_it() -> None:
    assert "set IDENTITY_DATA='/d a/ta'" in greeting(ready())
    assert "--data '/d a/ta')" in what_next(ready(), Prepared(EXAMPLE, "active"))


def test_a_tenant_of_an_earlier_version_has_one_service_and_its_commands() -> None:
    """A tenant that is whole is its users' alone: no later version adds the second service."""
    named = list(document(ready(), Prepared(EXAMPLE, "active"))["commands"])
    assert named == ["exchange", "introspect", "deprovision", "reactivate"]
    assert "5. " not in what_next(ready(), Prepared(EXAMPLE, "active"))
    assert "LEDGER_ID" not in variables_of(URL, EXAMPLE)


def test_a_tenant_with_two_services_has_the_commands_of_the_second_last() -> None:
    named = list(document(ready(), Prepared(WITH_BOTH_SERVICES, "active"))["commands"])
    assert named == ["exchange", "introspect", "deprovision", "reactivate", "exchange_next", "introspect_next"]
    assert "\n6. https://ledger.example asks" in what_next(ready(), Prepared(WITH_BOTH_SERVICES, "active"))
    assert variables_of(URL, WITH_BOTH_SERVICES)["LEDGER_ID"] == "ID"
