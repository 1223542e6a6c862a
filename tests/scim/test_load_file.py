"""What may be loaded: tables and lines, tried out first, held against the schemas, begun again after a kill."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask, Response, request

from cli.main import main
from tests.house.sources import ROOT
from tests.scim.loading import Loader, names, people, person
from tests.scim.sources import ENTERPRISE, GROUP, USER, Source

HEADER = (
    "userName,name.givenName,name.familyName,emails.work,emails.work.primary,emails.home,phoneNumbers,active,department"
)
ANN = "ann,Ann,Ames,ann@work.example,true,ann@home.example,+1,TRUE,Finance"
BOB = 'bob,"Bob, the second","O""Brien",,,,,false,'


def found(source: Source, name: str) -> dict[str, Any]:
    [user] = source.get(f"/Users?filter=userName+eq+%22{name}%22")["Resources"]
    return user


# --- tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_becomes_users_with_the_parts_that_its_header_names(
    loader: Loader, rfc: Source, separator: str
) -> None:
    table = [HEADER.replace(",", separator), ANN.replace(",", separator)]
    assert loader.numbers(table) == (1, 0, 0)
    ann = found(rfc, "ann")
    assert ann["name"] == {"givenName": "Ann", "familyName": "Ames"}
    assert ann["emails"] == [
        {"type": "work", "value": "ann@work.example", "primary": True},
        {"type": "home", "value": "ann@home.example"},
    ]
    assert ann["phoneNumbers"] == [{"value": "+1"}]
    assert (ann["active"], ann[ENTERPRISE]) == (True, {"department": "Finance"})
    assert ann["schemas"] == [USER, ENTERPRISE]


def test_quotes_empty_cells_a_byte_order_mark_and_empty_lines_are_read_as_spreadsheets_write_them(
    loader: Loader, rfc: Source
) -> None:
    assert loader.numbers(["\ufeff" + HEADER, "", BOB, ""]) == (1, 0, 0)
    bob = found(rfc, "bob")
    assert bob["name"] == {"givenName": "Bob, the second", "familyName": 'O"Brien'}
    assert bob["active"] is False
    assert not {"emails", "phoneNumbers", ENTERPRISE} & bob.keys()
    assert bob["schemas"] == [USER]


def test_a_cell_may_hold_a_line_break_and_rows_are_counted_by_their_first_line(
    loader: Loader, rfc: Source, tmp_path: Path
) -> None:
    kept = tmp_path / "refused"
    table = ["userName,displayName,active", 'ann,"one\ntwo",true', "bob,Bob,perhaps", "cid,Cid"]
    assert loader.numbers(table, "--refused", str(kept), exit_code=1) == (1, 0, 2)
    assert found(rfc, "ann")["displayName"] == "one\ntwo"
    told = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(one["line"], one["error"]["detail"]) for one in told] == [
        (4, "active is no boolean"),
        (5, "the row has 2 cells, and the header 3"),
    ]
    assert told[0]["text"] == "bob,Bob,perhaps"


def test_columns_may_come_again_and_be_named_by_their_schema(loader: Loader, rfc: Source) -> None:
    header = (
        f"{USER}:userName,emails,emails,{ENTERPRISE}:costCenter,{ENTERPRISE.upper()}:manager,externalId,roles.value"
    )
    assert loader.numbers([header, f"ann,a@x.example,b@x.example,7,{'1' * 8},e-1,boss"]) == (1, 0, 0)
    ann = found(rfc, "ann")
    assert ann["emails"] == [{"value": "a@x.example"}, {"value": "b@x.example"}]
    assert ann[ENTERPRISE]["costCenter"] == "7"
    assert ann[ENTERPRISE]["manager"]["value"] == "11111111"
    assert (ann["externalId"], ann["roles"]) == ("e-1", [{"value": "boss"}])


def test_groups_come_from_a_table_too(loader: Loader, rfc: Source) -> None:
    ann = rfc.user("ann")
    assert loader.numbers(["displayName,members,externalId", f"Finance,{ann},f-1"], "--type", "Groups") == (1, 0, 0)
    [group] = rfc.get("/Groups")["Resources"]
    assert [member["value"] for member in group["members"]] == [ann]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("userName,departmnt", "'departmnt' is no attribute of User at this server; did you mean department?"),
        ("userName,name.givenname.x", "the parts of name are formatted"),
        ("userName,name", "the parts of name are formatted"),
        ("userName,emails.wrok", "the types of emails are work, home, other"),
        ("userName,emails.work.colour", "the parts of emails are value"),
        ("userName,title.x", "title has no parts"),
        ("userName,id", "id is the server's own"),
        ("userName,schemas", "schemas is the server's own"),
        ("userName,groups", "groups is the server's own"),
        ("userName,urn:example:nothing:x", "is no attribute of User"),
        ("userName,", "'' is no attribute of User"),
        ("Hello there", "is no attribute of User"),
        ("\x1b[2Juser", "is no attribute of User"),
        (",".join(["userName"] * 501), "more than 500 columns"),
    ],
)
def test_a_header_that_means_nothing_is_refused_in_a_sentence_and_nothing_is_sent(
    loader: Loader, rfc: Source, header: str, said: str
) -> None:
    result = loader.run([header, "ann" + "," * header.count(",")], exit_code=2)
    assert said in result.stderr
    assert "\x1b" not in result.stderr
    assert names(rfc) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b'"ann', "cannot be read as CSV"),
        (b'"ann"x', "cannot be read as CSV"),
        (b"x" * 1_100_000, "is longer than"),
    ],
)
def test_a_table_that_cannot_be_read_on_ends_the_load_in_a_sentence(
    loader: Loader, rfc: Source, row: bytes, said: str
) -> None:
    loader.file.write_bytes(b"userName\nbob\n" + row)
    ended = loader.run_on(str(loader.file), exit_code=1)
    assert f"line 3 {said}" in ended.stderr
    assert "Traceback" not in ended.output
    assert set(names(rfc)) <= {"bob"}


def test_a_row_that_is_not_utf_8_is_refused_and_stops_no_other(loader: Loader, rfc: Source) -> None:
    loader.file.write_bytes(b"userName\nan\xe9\nbob\n")
    assert "line 2: 400 the row is not UTF-8" in loader.run_on(str(loader.file), exit_code=1).stderr
    assert names(rfc) == ["bob"]


# --- which form a file has ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"userName": "ann"}]', "jq -c '.[]' FILE"),
        ("userName\nann".encode("utf-16"), "save it as UTF-8"),
        (b"user\0Name", "save it as UTF-8"),
        (b"<html><body>sign in</body></html>", "save it as CSV"),
        (b"PK\x03\x04 a spreadsheet", "save it as CSV"),
    ],
)
def test_a_file_that_is_neither_lines_nor_a_table_is_refused_with_what_to_do(
    loader: Loader, content: bytes, said: str
) -> None:
    loader.file.write_bytes(content)
    assert said in loader.run_on(str(loader.file), exit_code=2).stderr


def test_json_over_several_lines_is_told_how_to_become_one_object_a_line(loader: Loader, rfc: Source) -> None:
    result = loader.run(json.dumps({"schemas": [USER], "userName": "ann"}, indent=1).splitlines(), exit_code=1)
    assert "one JSON object a line" in result.stderr
    assert "one JSON object a line" not in loader.run(["{", *people("ann")], exit_code=1).stderr
    assert names(rfc) == ["ann"]


def test_the_form_can_be_said_and_is_then_not_guessed(loader: Loader) -> None:
    assert loader.numbers(["", "", *people("ann")], "--format", "ndjson") == (1, 0, 0)
    assert "is no attribute" in loader.run(people("bob"), "--format", "csv", exit_code=2).stderr


def test_a_table_may_come_from_standard_input(loader: Loader, rfc: Source) -> None:
    loader.run_on("-", input="userName\nann\n")
    assert names(rfc) == ["ann"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"userName\n"])
def test_a_file_of_nothing_loads_nothing(loader: Loader, content: bytes) -> None:
    loader.file.write_bytes(content)
    assert json.loads(loader.run_on(str(loader.file), "--json").stdout)["lines"] == 0


# --- a dry run ---------------------------------------------------------------------------------------------------


def test_a_dry_run_reads_everything_and_sends_nothing(app: Flask, loader: Loader, rfc: Source, tmp_path: Path) -> None:
    asked = []

    @app.before_request
    def note() -> None:
        asked.append(request.method)

    kept = tmp_path / "refused"
    lines = [
        *people("ann"),
        "{",
        json.dumps({"schemas": [USER], "displayName": "Nobody"}),
        person("bob", active="yes", title=["a", "b"], name="Bob"),
        person("cid", emails=[{"value": 7}], **{ENTERPRISE: {"department": 7}}),
        person("dan", emails={"value": "d@x.example"}, departmnt="Sales"),
        person("eve", title=None, **{ENTERPRISE: "none"}),
    ]
    result = loader.run(lines, "--dry-run", "--json", "--refused", str(kept), exit_code=1)
    assert json.loads(result.stdout) == {
        "lines": 7, "valid": 2, "refused": 5, "dry_run": True, "unknown_attributes": {"departmnt": 1},
    }  # fmt: skip
    told = {one["line"]: one["error"]["detail"] for one in map(json.loads, kept.read_text().splitlines())}
    assert list(told) == [2, 3, 4, 5, 7]
    assert told[3] == "userName is required"
    assert told[4] == "active must be of type boolean; title takes one value; name must be of type complex"
    assert told[5] == f"emails.value must be of type string; {ENTERPRISE}:department must be of type string"
    assert told[7] == f"{ENTERPRISE} must be an object"
    assert set(asked) == {"GET"}
    assert names(rfc) == []


def test_a_dry_run_of_a_table_says_so_in_words(loader: Loader, rfc: Source) -> None:
    result = loader.run(["userName,active", "ann,true", "bob,maybe"], "--dry-run", exit_code=1)
    assert "2 lines (100%): 1 can be sent, 1 refused; nothing sent" in result.stdout
    assert "line 3: 400 active is no boolean" in result.stderr
    assert names(rfc) == []


# --- attributes that no schema knows ------------------------------------------------------------------------------


def test_a_name_that_no_schema_knows_is_told_once_and_counted(loader: Loader) -> None:
    odd = {"departmnt": "x", "name": {"givenNam": "x"}, "emails": [{"valu": "x"}], ENTERPRISE: {"costcentre": "1"}}
    lines = [*people("ann"), *(person(f"user-{n}", **odd) for n in range(3)), person("\x1b[2J", **{"\x1b[2J": 1})]
    result = loader.run(lines, "--json", exit_code=1)
    assert json.loads(result.stdout)["unknown_attributes"] == {
        "departmnt": 3, "name.givenNam": 3, "emails.valu": 3, f"{ENTERPRISE}:costcentre": 3, "\ufffd[2J": 1,
    }  # fmt: skip
    warnings = [line for line in result.stderr.splitlines() if "no schema of the server knows" in line]
    assert len(warnings) == 5
    assert all(warning.startswith("line 2: ") for warning in warnings[:4])
    assert "\x1b" not in result.stderr


def test_names_of_every_schema_in_any_case_are_known(loader: Loader) -> None:
    more = {"DEPARTMENT": "x", "externalId": "e", "Title": "x", "meta": {}, "id": "x",
            "emails": [{"value": "a@x.example", "display": "a", "primary": True}], "name": None}  # fmt: skip
    result = loader.run([person("ann", **more, **{ENTERPRISE.upper(): {"DIVISION": "x"}})], "--dry-run", "--json")
    assert json.loads(result.stdout)["unknown_attributes"] == {}


def test_a_person_is_told_at_the_end_which_names_no_schema_knows(loader: Loader) -> None:
    shown = loader.run([person("ann", departmnt="x"), person("bob", departmnt="x")], "--dry-run").stdout
    assert "Attributes that no schema of the server knows, and their lines: departmnt (2)" in shown


def test_so_many_unknown_names_that_they_are_no_attributes_are_counted_together(loader: Loader) -> None:
    lines = [person("ann", **{f"x{n}": 1 for n in range(500)})]
    result = loader.run(lines, "--dry-run", "--json")
    assert len(json.loads(result.stdout)["unknown_attributes"]) == 101
    assert len(result.stderr.splitlines()) < 110


# --- other servers -------------------------------------------------------------------------------------------------


def publish_nothing(app: Flask, *paths: str) -> None:
    @app.before_request
    def refuse() -> Response | None:
        return Response("<html>", status=404) if request.path.endswith(paths) else None


def test_a_server_without_schemas_is_loaded_by_those_of_the_standard(app: Flask, loader: Loader, rfc: Source) -> None:
    publish_nothing(app, "/Schemas", "/ResourceTypes")
    result = loader.run([HEADER, ANN])
    assert "publishes no schema" in result.stderr
    assert found(rfc, "ann")[ENTERPRISE] == {"department": "Finance"}
    told = json.loads(loader.run([person("bob", departmnt="x")], "--json").stdout)
    assert (told["created"], "unknown_attributes" in told) == (1, False)
    assert "needs a schema" in loader.run(["name", "x"], "--type", "Devices", exit_code=2).stderr


def test_a_server_without_resource_types_is_read_by_the_names_of_its_schemas(app: Flask, loader: Loader) -> None:
    publish_nothing(app, "/ResourceTypes")
    result = loader.run([person("ann", departmnt="x", **{ENTERPRISE: {"division": "x"}})], "--json")
    assert json.loads(result.stdout)["unknown_attributes"] == {"departmnt": 1}


@pytest.mark.parametrize(
    "document",
    ["[]", '{"Resources": {}}', '{"Resources": [7, {"id": 7, "attributes": 7}]}',
     '{"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [{}, {"name": "userName"}]}]}'],
)  # fmt: skip
def test_schemas_of_any_shape_stop_no_load(app: Flask, loader: Loader, document: str) -> None:
    @app.before_request
    def answer() -> Response | None:
        return Response(document) if request.path.endswith(("/Schemas", "/ResourceTypes")) else None

    assert loader.numbers([person("ann", title="x", **{ENTERPRISE: {"division": "x"}})]) == (1, 0, 0)


# --- the token -----------------------------------------------------------------------------------------------------


def test_the_token_comes_from_a_file_or_the_environment_and_only_a_bare_one_is_warned_about(
    loader: Loader, rfc: Source, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text(rfc.token + "\n")
    loader.file.write_text(person("ann"))
    in_file = loader.run_on(str(loader.file), token=f"@{secret}")
    in_environment = CliRunner().invoke(
        main, ["scim", "load", loader.base_url, str(loader.file)], env={"IDENTITY_SCIM_TOKEN": rfc.token}
    )
    on_command_line = loader.run_on(str(loader.file))
    assert in_environment.exit_code == 0
    assert "list of processes" not in in_file.stderr + in_environment.stderr
    assert "list of processes" in on_command_line.stderr
    assert rfc.token not in in_file.output + in_environment.output + on_command_line.output


# --- begun again ---------------------------------------------------------------------------------------------------


def test_a_load_that_was_killed_is_begun_again_and_makes_everyone_once(
    loader: Loader, rfc: Source, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text(rfc.token)
    everyone = [f"user-{n:03}" for n in range(150)]
    loader.file.write_text("\n".join(people(*everyone)))
    command = [sys.executable, "-m", "cli", "scim", "load", loader.base_url, f"@{secret}", str(loader.file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while rfc.get("/Users?count=0")["totalResults"] < 10:
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    made = rfc.get("/Users?count=0")["totalResults"]
    created, there_already, refused = loader.numbers(people(*everyone))
    assert (created + there_already, refused) == (150, 0)
    assert there_already >= made >= 10
    assert names(rfc) == everyone


def test_groups_that_have_an_external_id_are_made_once_however_often_they_are_loaded(
    loader: Loader, rfc: Source
) -> None:
    lines = [json.dumps({"schemas": [GROUP], "displayName": "Finance", "externalId": "f-1"})]
    assert loader.numbers(lines, "--type", "Groups") == (1, 0, 0)
    assert loader.numbers(lines, "--type", "Groups") == (0, 1, 0)
    assert rfc.get("/Groups")["totalResults"] == 1
