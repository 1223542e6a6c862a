"""`identity demo` for real: what the story tells in a terminal of a hundred columns, and that each step was taken."""

import os
import re
import subprocess
import sys

import pytest

from tests.config.test_dev import ROOT

COLUMNS = 100
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def told() -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "demo"],
        cwd=ROOT, env=environment | {"COLUMNS": str(COLUMNS)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


STEPS = [
    "An administrator creates a tenant, and a SCIM connection for Entra",
    "Entra pushes Dana (manager), Sam, and the group Finance with both",
    "Entra pushes the agents invoice-bot, ocr-bot and erp-bot, owned by Dana",
    "An administrator trusts the company's sign-in, and registers two services",
    "An administrator lets agents act for members of Finance (three delegations)",
    "Sam's ID token is exchanged for a task token of invoice-bot",
    "The ERP lets it read invoice 17, and refuses to pay it",
    "invoice-bot hands the task on to ocr-bot: one more actor, nothing more allowed",
    "The ERP needs the ledger to answer, and has received a token for itself alone",
    "An administrator registers the pair of the ERP and the ledger",
    "The ERP exchanges the token, and asks the ledger: for Sam, in the same task",
    "Entra sends active=False for Sam, and every token that rests on Sam ends",
    "An administrator ends a chain at both services with one call, here for Dana",
    "Dana leaves: the agents have no owner any more, and the worker suspends them",
    "The audit log of Sam's task, by its txn",
]


def test_every_step_is_told_once_and_in_its_order(told: str) -> None:
    found = re.findall(r"^✓ +(\d+) (.*?) [\d,]+ ms$", told, re.MULTILINE)
    assert found == [(str(number), step) for number, step in enumerate(STEPS, 1)]


def test_every_line_fits_a_terminal_of_a_hundred_columns(told: str) -> None:
    assert [line for line in told.splitlines() if len(line) > COLUMNS] == []
    notes = [line for line in told.splitlines() if line.startswith("     ")]
    assert all(re.match(r" {5}\S", line) for line in notes), "no note is longer than its line"


@pytest.mark.promise(3)
@pytest.mark.parametrize(
    "note",
    [
        "sub Sam · act invoice-bot · aud https://erp.example · scope invoices.read · 120 s",
        "sub Sam · act ocr-bot ← invoice-bot · aud https://erp.example · scope invoices.read",
        "asking for invoices.pay is refused: invalid_scope",
        "the ledger refuses this token, which is not for it: audience",
        "the issuer refuses to exchange it for one for the ledger: pair_not_allowed",
        "sub Sam · act erp-bot ← invoice-bot · aud https://ledger.example · scope entries.read",
        "the ERP refuses this token, which is for the ledger alone: audience",
    ],
)
def test_the_chain_grows_and_each_service_takes_tokens_for_itself_alone(told: str, note: str) -> None:
    assert f"     {note}\n" in told


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "note",
    [
        "invoice-bot's token, unexpired, is refused at the ERP: inactive, N ms later",
        "ocr-bot's token, unexpired, is refused at the ERP: inactive, N ms later",
        "erp-bot's token, unexpired, is refused at the ledger: inactive, N ms later",
        "a fresh ID token of Sam is refused in exchange: invalid_grant",
        "identity task cancel: inactive at the ERP N ms later, at the ledger N ms later",
        "identity agent suspend: inactive at the ERP N ms later, at the ledger N ms later",
        "all three are suspended N ms later, and the key of invoice-bot is refused",
    ],
)
def test_one_call_ends_the_chain_at_both_services(told: str, note: str) -> None:
    assert f"     {note}\n" in re.sub(r"\b\d+ ms later", "N ms later", told)


def test_the_audit_log_of_the_task_has_both_services_and_what_was_refused(told: str) -> None:
    tree = told.partition("\ntask ")[2].replace("└", "├")  # the worker may add the end of the task below
    without_times = re.sub(r"\d\d:\d\d:\d\d\.\d{3} |, \d+ s$", "", tree, flags=re.MULTILINE)
    assert [line for line in without_times.splitlines() if "token.issued" in line or "oauth.refused" in line] == [
        "├── token.issued invoice-bot for Sam · invoices.read at the ERP",
        "│   ├── token.issued ocr-bot ← invoice-bot for Sam · invoices.read at the ERP",
        "│   ├── oauth.refused ocr-bot ← invoice-bot for Sam · scope_exceeded",
        "│   ├── oauth.refused erp-bot ← invoice-bot for Sam · pair_not_allowed",
        "│   ├── token.issued erp-bot ← invoice-bot for Sam · entries.read at the ledger",
    ]
