"""What `identity dev` prints in the cases that a start by hand does not meet."""

from pathlib import Path

import pytest

from cli.printout import document, greeting, what_next
from dev.example_tenant import ExampleTenant
from dev.preparation import Prepared
from dev.supervisor import Ready

URL = "http://127.0.0.1:8080"
EXAMPLE = ExampleTenant(True, {"sam": "SAM"}, "TOKEN", {"invoice-bot": ("ID", "SECRET"), "erp": ("ID", "SECRET")})
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
