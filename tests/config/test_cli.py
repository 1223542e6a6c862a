"""The command by itself: JSON where it is asked for, one line where something is wrong."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import COMMANDS, main
from config.database import head_revision

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def run(*arguments: str, **environment: str) -> Result:
    settings = {f"IDENTITY_{name.upper()}": value for name, value in environment.items()}
    return CliRunner().invoke(main, arguments, env=settings)


def test_every_command_in_the_table_is_there_and_says_what_it_does() -> None:
    listed = run("--help").output
    for name in COMMANDS:
        assert name in listed
        assert run(name, "--help").exit_code == 0


def test_migrate_says_where_the_schema_is_and_brings_it_to_the_head(empty_owner_url: str) -> None:
    before = json.loads(run("migrate", "status", "--json", database_url=empty_owner_url).output)
    fault = before.pop("fault")
    assert before == {"current": None, "head": head_revision(), "is_at_head": False, "serves_from": None}
    assert "identity migrate" in fault
    done = run("migrate", database_url=empty_owner_url)
    assert (done.exit_code, done.output) == (0, f"at {head_revision()}\n")
    assert json.loads(run("migrate", "--json", database_url=empty_owner_url).output)["is_at_head"]
    assert json.loads(run("migrate", "--json", "status", database_url=empty_owner_url).output)["is_at_head"]
    assert json.loads(run("migrate", "up", "--json", database_url=empty_owner_url).output)["is_at_head"]


def test_migrate_goes_to_a_revision_and_back_and_loses_nothing_unasked(empty_owner_url: str) -> None:
    def migrate(*arguments: str) -> Any:
        result = run("migrate", *arguments, "--json", database_url=empty_owner_url)
        return json.loads(result.output) if result.exit_code == 0 else result.output.strip()

    assert migrate("up", "--to", "tell_upstream")["current"] == "tell_upstream"
    assert migrate("down", "--to", "count_ends") == LOSES
    assert migrate("status")["current"] == "tell_upstream"
    state = migrate("down", "--to", "count_ends", "--lose-data")
    assert (state["current"], "run `identity migrate`" in state["fault"]) == ("count_ends", True)
    assert migrate("up", "--to", "nowhere").startswith(
        "Error: there is no revision nowhere; there are create_foundation,"
    )
    assert (
        migrate("down", "--to", "tell_upstream") == "Error: the schema is at count_ends, which is before tell_upstream"
    )
    assert "Missing option '--to'" in migrate("down")


LOSES = "Error: this would lose: which upstream tokens connections take. Add --lose-data if it may"


@pytest.mark.parametrize(
    ("serves_from", "words", "is_well"),
    [(head_revision(), "it serves this version too", True), ("later", "it does not serve this version", False)],
)
def test_a_later_schema_is_told_from_one_that_is_behind(
    database_url: str, owner_url: str, serves_from: str, words: str, is_well: bool
) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later', serves_from = %s", [serves_from])
    environment = {"database_url": database_url, "owner_database_url": owner_url}
    assert words in run("migrate", "status", **environment).output
    refused = run("migrate", "up", **environment)
    assert (refused.exit_code, "a later version has made" in refused.output) == (1, True)
    found = run("doctor", "--json", key_encryption_key=KEY, admin_token="x" * 32, **environment)
    [schema] = [each for each in json.loads(found.output)["findings"] if each["name"] == "schema"]
    assert (schema["is_well"], "later" in schema["advice"]) == (is_well, True)


def test_migrate_prints_its_sql(owner_url: str) -> None:
    assert "CREATE TABLE tenants" in run("migrate", "sql", database_url=owner_url).output


def test_a_missing_database_is_one_line() -> None:
    result = run("migrate", "status", database_url="")
    assert result.exit_code == 1
    assert result.output.startswith("Error: IDENTITY_DATABASE_URL is not set")
    assert len(result.output.splitlines()) == 1


def test_an_unreachable_database_is_one_line() -> None:
    result = run("migrate", "status", database_url="postgresql://nobody@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert result.output.startswith("Error: the database does not answer")
