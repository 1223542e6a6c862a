"""The command by itself: JSON where it is asked for, one line where something is wrong."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import COMMANDS, main
from server.schema import head_revision

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def run(*arguments: str, **environment: str) -> Result:
    settings = {f"IDENTITY_{name.upper()}": value for name, value in environment.items()}
    return CliRunner().invoke(main, arguments, env=settings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("delegaton",), "Did you mean 'delegation'?"),
        (("agent", "lst"), "Did you mean 'list'?"),
        (("agent", "list", "acme", "--sate", "active"), "'--state'"),
        (("--profil", "x", "tenant", "list"), "'--profile'"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (("delegation", "list", "acme", "--active=yes"), "does not take a value"),
    ],
)
def test_a_word_that_is_misspelt_is_told_with_what_is_meant_in_words_and_in_json(
    words: tuple[str, ...], said: str
) -> None:
    in_words = run(*words)
    assert (in_words.exit_code, said in in_words.stderr) == (2, True)
    for given in ((*words, "--json"), ("--json", *words)):
        in_json = run(*given)
        error = json.loads(in_json.stderr)
        assert (in_json.exit_code, in_json.stdout, error["code"], error["exit_status"]) == (2, "", "usage", 2)
        assert said in error["message"]


@pytest.mark.parametrize(
    ("words", "environment", "exit_code", "code"),
    [
        (("migrate", "status"), {"database_url": ""}, 1, "failed"),
        (("migrate", "status"), {"database_url": "postgresql://nobody@127.0.0.1:1/x"}, 1, "failed"),
        (("migrate", "down"), {}, 2, "usage"),
        (("tenant", "list"), {"url": "127.0.0.1:1", "admin_token": "x"}, 1, "refused"),
        (("tenant", "list"), {"url": "http://127.0.0.1:9", "admin_token": "x"}, 3, "unreachable"),
        (("tenant", "list"), {"url": "http://127.0.0.1:9", "admin_token": "x y"}, 4, "invalid_token"),
    ],
)
def test_an_error_is_one_json_object_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], environment: dict[str, str], exit_code: int, code: str
) -> None:
    monkeypatch.setattr("cli.remote.PAUSE_S", 0.0)
    in_words = run(*words, **environment)
    for given in ((*words, "--json"), ("--json", *words)):
        in_json = run(*given, **environment)
        error = json.loads(in_json.stderr)
        assert (in_json.exit_code, in_words.exit_code, error["exit_status"]) == (exit_code, exit_code, exit_code)
        assert (in_json.stdout, error["code"]) == ("", code)
        assert error["message"].splitlines()[0] in in_words.stderr


def test_json_before_the_command_is_json_after_it(empty_owner_url: str) -> None:
    assert json.loads(run("--json", "migrate", "status", database_url=empty_owner_url).stdout)["current"] is None


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o nosort -F"),
        ("zsh", "#compdef identity"),
        ("fish", "complete --no-files --command identity"),
    ],
)
def test_the_completion_script_of_a_shell_completes_commands(shell: str, line: str) -> None:
    script = run("completion", shell).stdout
    assert line in script
    assert json.loads(run("completion", shell, "--json").stdout) == {
        "shell": shell,
        "script": script.rstrip("\n") + "\n",
    }
    environment = {"_IDENTITY_COMPLETE": "bash_complete", "COMP_WORDS": "identity delega", "COMP_CWORD": "1"}
    completed = CliRunner().invoke(main, [], prog_name="identity", complete_var="_IDENTITY_COMPLETE", env=environment)
    assert completed.output == "plain,delegation\n"


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
        return json.loads(result.output) if result.exit_code == 0 else json.loads(result.stderr)["message"]

    assert migrate("up", "--to", "tell_upstream")["current"] == "tell_upstream"
    assert migrate("down", "--to", "count_ends") == LOSES
    assert migrate("status")["current"] == "tell_upstream"
    state = migrate("down", "--to", "count_ends", "--lose-data")
    assert (state["current"], "run `identity migrate`" in state["fault"]) == ("count_ends", True)
    assert migrate("up", "--to", "nowhere").startswith("there is no revision nowhere; there are create_foundation,")
    assert migrate("down", "--to", "tell_upstream") == "the schema is at count_ends, which is before tell_upstream"
    assert "Missing option '--to'" in migrate("down")


LOSES = "this would lose: which upstream tokens connections take. Add --lose-data if it may"


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
