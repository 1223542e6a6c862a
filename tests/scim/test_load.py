"""The loader: every line is there, refused or said; whatever the file holds and the server answers."""

import io
import json
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from flask import Flask, Response, request

from cli.main import main
from cli.problems import NOT_AUTHENTICATED, UNREACHABLE, Refused
from cli.scim.load.bulks import ATTEMPTS, PAUSE_S, Bulks
from cli.scim.load.lines import NotLoaded, read_lines
from cli.scim.load.load import Load, Tally
from identity.edge.runtime import Runtime
from tests.scim.loading import Loader, names, people, person
from tests.scim.sources import GROUP, USER, Source


def test_every_line_becomes_a_resource_of_this_tenant_alone(loader: Loader, rfc: Source, rival: Source) -> None:
    assert loader.numbers([*people("ann", "bob"), "", *people("cid")]) == (3, 0, 0)
    assert names(rfc) == ["ann", "bob", "cid"]
    assert names(rival) == []


def test_what_is_there_already_is_counted_and_no_error(loader: Loader, rfc: Source) -> None:
    rfc.user("ann")
    assert loader.numbers(people("ann", "bob")) == (1, 1, 0)
    assert loader.numbers(people("ann", "bob")) == (0, 2, 0)


def test_other_types_are_loaded_by_name(loader: Loader, rfc: Source) -> None:
    assert loader.numbers([json.dumps({"schemas": [GROUP], "displayName": "Finance"})], "--type", "Groups") == (1, 0, 0)
    assert rfc.get("/Groups")["totalResults"] == 1


def test_a_person_is_told_numbers_and_nobody_sees_the_token(loader: Loader) -> None:
    shown = loader.run(people("ann")).output
    assert "1 lines (100%): 1 created, 0 there already, 0 refused" in shown
    assert loader.token not in shown


def test_token_or_file_may_come_from_standard_input(loader: Loader, rfc: Source) -> None:
    loader.file.write_text(person("ann"))
    loader.run_on(str(loader.file), token="-", input=loader.token + "\n")
    loader.run_on("-", input=person("bob") + "\n")
    assert names(rfc) == ["ann", "bob"]


# --- lines that are no resources -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "scim_type"),
    [
        ("{", 400, "invalidSyntax"),
        ("<html>", 400, "invalidSyntax"),
        ('["ann"]', 400, "invalidSyntax"),
        ('{"userName": "x", "userName": "y"}', 400, "invalidSyntax"),
        ('{"userName": NaN}', 400, "invalidSyntax"),
        ('{"userName": "\\ud800"}', 400, "invalidValue"),
        ('{"userName": "\\u0000"}', 400, "invalidValue"),
        ('{"a":' * 40 + "1" + "}" * 40, 400, "invalidSyntax"),
        (json.dumps({"schemas": [USER], "displayName": "Nobody"}), 400, "invalidValue"),
        (json.dumps({"schemas": [GROUP], "userName": "x"}), 400, "invalidSyntax"),
    ],
)
def test_a_line_that_is_refused_is_kept_with_the_reason_and_stops_no_other(
    loader: Loader, rfc: Source, tmp_path: Path, line: str, status: int, scim_type: str
) -> None:
    kept = tmp_path / "refused.ndjson"
    lines = [person("ann"), line, person("bob")]
    assert loader.numbers(lines, "--refused", str(kept), exit_code=1) == (2, 0, 1)
    assert names(rfc) == ["ann", "bob"]
    [told] = map(json.loads, kept.read_text().splitlines())
    assert (told["line"], told["status"], told["error"]["scimType"]) == (2, status, scim_type)
    assert "resource" in told or told["text"] == line[:200]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_without_a_file_for_them_the_first_refused_lines_are_shown(loader: Loader) -> None:
    shown = loader.run(["{"] * 9 + people("ann"), exit_code=1).stderr
    assert [line.partition(":")[0] for line in shown.splitlines() if ": 400 " in line] == [
        f"line {number}" for number in range(1, 6)
    ]


# --- limits of the server --------------------------------------------------------------------------------------


def test_every_bulk_is_within_what_the_server_advertises(
    app: Flask, runtime: Runtime, loader: Loader, rfc: Source
) -> None:
    app.extensions["identity"] = replace(runtime, body_bytes_max=2_000)
    sizes = []

    @app.before_request
    def note() -> None:
        if request.path.endswith("/Bulk"):
            sizes.append(request.content_length)

    lines = [person(f"user-{n}", title="x" * (300 + n)) for n in range(20)]
    assert loader.numbers([*lines, person("long", title="x" * 2_000)], exit_code=1) == (20, 0, 1)
    assert len(names(rfc)) == 20
    assert len(sizes) >= 5
    assert max(sizes) <= 2_000


# --- what servers answer ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Engine:
    """A load whose pauses are noted, and not made."""

    bulks: Bulks
    waits: list[float]
    refused: list[NotLoaded] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic

    def load(self, lines: list[str]) -> Tally:
        file = io.BytesIO("\n".join(lines).encode())
        work = Load(self.bulks, self.bulks.limits(), "Users", self.refused.append, lambda _tally: None, self.clock)
        return work.load(read_lines(file, 10_000))


@pytest.fixture
def engine(base_url: str, rfc: Source) -> Iterator[Engine]:
    waits: list[float] = []
    headers = {"Authorization": f"Bearer {rfc.token}", "Content-Type": "application/scim+json"}
    with httpx2.Client(base_url=base_url, headers=headers) as http:
        yield Engine(Bulks(http, waits.append), waits)


Spoil = Callable[[int], Response | None]


def spoil_bulks(app: Flask, spoil: Spoil) -> None:
    """Let ``spoil`` answer the nth Bulk, from 0 on, unless it returns None."""
    seen = iter(range(1_000_000))

    @app.before_request
    def answer() -> Response | None:
        return spoil(next(seen)) if request.path.endswith("/Bulk") else None


def test_a_server_that_asks_for_patience_gets_it(app: Flask, engine: Engine, rfc: Source) -> None:
    spoil_bulks(app, lambda n: Response(status=429, headers={"Retry-After": "7"}) if n < 3 else None)
    assert engine.load(people("ann", "bob")).created == 2
    assert engine.waits == [7.0, 7.0, 7.0]
    assert names(rfc) == ["ann", "bob"]


def test_an_answer_that_was_lost_makes_nobody_twice_and_nobody_lost(app: Flask, engine: Engine, rfc: Source) -> None:
    seen = []

    @app.after_request
    def lose(response: Response) -> Response:
        if request.path.endswith("/Bulk") and not seen:
            seen.append(response.status_code)
            return Response(status=502)  # what a gateway says: by then all of it was done
        return response

    told = engine.load(people("ann", "bob"))
    assert (told.created, told.there_already, told.refused) == (0, 2, 0)
    assert names(rfc) == ["ann", "bob"]


def test_a_lost_connection_is_tried_again_for_a_while(engine: Engine, rfc: Source) -> None:
    del rfc
    with httpx2.Client(base_url="http://127.0.0.1:9/scim") as nowhere, pytest.raises(Refused) as lost:
        Engine(Bulks(nowhere, engine.waits.append), engine.waits).load(people("ann"))
    assert lost.value.exit_code == UNREACHABLE
    assert engine.waits == [PAUSE_S * 2**attempt for attempt in range(ATTEMPTS - 1)]


def test_a_bulk_that_is_too_large_after_all_is_sent_in_halves(app: Flask, engine: Engine, rfc: Source) -> None:
    spoil_bulks(app, lambda _n: Response(status=413) if (request.content_length or 0) > 500 else None)
    told = engine.load([*people(*"abcdefg"), person("giant", title="x" * 500), *people(*"hij")])
    assert (told.created, told.refused) == (10, 1)
    assert [(line.number, line.status) for line in engine.refused] == [(8, 413)]
    assert names(rfc) == list("abcdefghij")


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "said"),
    [
        (500, "{}", UNREACHABLE, "answers 500"),
        (503, "<html>down</html>", UNREACHABLE, "answers 503: <html>down</html>"),
        (200, "<html>welcome</html>", 1, "not as SCIM does"),
        (200, "[]", 1, "not as SCIM does"),
        (200, '{"Operations": {}}', 1, "not as SCIM does"),
        (200, "[" * 100_000, 1, "not as SCIM does"),
        (302, "", 1, "not as SCIM does"),
        (404, "", 1, "not as SCIM does"),
        (401, "", NOT_AUTHENTICATED, "refuses this token"),
    ],
)
def test_a_server_that_answers_otherwise_ends_the_load_with_what_it_said(
    app: Flask, engine: Engine, rfc: Source, status: int, body: str, exit_code: int, said: str
) -> None:
    spoil_bulks(app, lambda _n: Response(body, status=status))
    with pytest.raises(Refused) as ended:
        engine.load(people("ann"))
    assert ended.value.exit_code == exit_code
    assert said in ended.value.message
    assert names(rfc) == []


def test_an_answer_without_end_is_not_read_to_its_end(app: Flask, engine: Engine) -> None:
    spoil_bulks(app, lambda _n: Response(b" " * 1_000_000 for _ in range(10_000)))
    with pytest.raises(Refused, match="more than"):
        engine.load(people("ann"))


@pytest.mark.parametrize(
    ("report", "created", "refused"),
    [
        ({"status": "201"}, 1, 0),
        ({"status": 201}, 1, 0),
        ({"status": {"code": "201"}}, 1, 0),
        ({"status": "409", "response": {"scimType": "uniqueness"}}, 0, 0),
        ({"status": "409", "response": {"scimType": "mutability"}}, 0, 1),
        ({"status": "400", "response": {"scimType": "invalidValue"}}, 0, 1),
        ({"status": "403", "response": "no"}, 0, 1),
        ({"status": "two hundred"}, 0, 1),
        ({"status": "\u0662\u0660\u0661"}, 0, 1),
        ({}, 0, 1),
        ({"bulkId": "2", "status": "201"}, 0, 1),
        ({"bulkId": ["1"], "status": "201"}, 0, 1),
    ],
)
def test_an_operation_counts_as_what_the_server_reported_of_it(
    app: Flask, engine: Engine, report: dict[str, Any], created: int, refused: int
) -> None:
    spoil_bulks(app, lambda _n: Response(json.dumps({"operations": [None, {"bulkId": "1"} | report]})))
    told = engine.load(people("ann"))
    assert (told.created, told.refused, told.lines) == (created, refused, 1)


def test_an_operation_that_the_server_had_no_time_for_is_sent_again(app: Flask, engine: Engine, rfc: Source) -> None:
    reports = [{"bulkId": "1", "status": "201"}, {"bulkId": "2", "status": "503", "response": {"status": "503"}}]
    spoil_bulks(app, lambda n: Response(json.dumps({"Operations": reports})) if n == 0 else None)
    assert engine.load(people("ann", "bob")).created == 2
    assert (names(rfc), engine.waits) == (["bob"], [PAUSE_S])


def test_an_operation_that_never_is_in_time_is_refused_in_the_end(app: Flask, engine: Engine) -> None:
    reports = [{"bulkId": "1", "status": "503", "response": {"detail": "later"}}]
    spoil_bulks(app, lambda _n: Response(json.dumps({"Operations": reports})))
    assert engine.load(people("ann")).refused == 1
    assert len(engine.waits) == ATTEMPTS - 1


def test_refused_lines_come_in_the_order_of_the_file(app: Flask, engine: Engine) -> None:
    """Line 3 is refused when it is read, lines 2 and 4 by the server, line 1 only after another try."""

    def spoil(n: int) -> Response | None:
        numbers = [(1, 503), (2, 400), (4, 400)] if n == 0 else [(1, 400)]
        reports = [{"bulkId": str(number), "status": str(status), "response": {}} for number, status in numbers]
        return Response(json.dumps({"Operations": reports}))

    spoil_bulks(app, spoil)
    engine.load([*people("ann", "bob"), "{", *people("cid"), "{"])
    assert [line.number for line in engine.refused] == [1, 2, 3, 4, 5]


def test_refused_lines_are_told_when_the_server_ends_the_load(app: Flask, engine: Engine) -> None:
    spoil_bulks(app, lambda _n: Response("<html>", status=200))
    with pytest.raises(Refused):
        engine.load([*people("ann"), "{"])
    assert [line.number for line in engine.refused] == [2]


def test_many_unreadable_lines_are_not_held_back_for_one_that_waits(app: Flask, engine: Engine) -> None:
    counts: list[int] = []
    spoil_bulks(app, lambda _n: counts.append(len(engine.refused)))  # type: ignore[arg-type, func-returns-value]
    engine.load([*people("ann"), *["{"] * 2_000, *people("bob")])
    assert counts == [0, 2_000]
    assert len(engine.refused) == 2_000


def test_a_bulk_takes_about_a_second_and_the_first_one_less(app: Flask, engine: Engine) -> None:
    sizes: list[int] = []
    engine.clock = lambda: sum(sizes) / 20  # a server that makes twenty a second

    @app.after_request
    def note(response: Response) -> Response:
        if request.path.endswith("/Bulk"):
            sizes.append(len(response.get_json(force=True)["Operations"]))
        return response

    assert engine.load(people(*map(str, range(100)))).created == 100
    assert sizes == [10, 20, 20, 20, 20, 10]


# --- what cannot be done at all --------------------------------------------------------------------------------


def test_a_refused_token_and_a_load_that_ended_have_codes_of_their_own(app: Flask, loader: Loader) -> None:
    spoil_bulks(app, lambda n: None if n == 0 else Response("<html>", status=200))
    loader.run(people("ann"))
    assert "refuses this token" in loader.run_on(str(loader.file), token="wrong-token", exit_code=4).stderr
    ended = loader.run_on(str(loader.file), "--json", exit_code=1)
    assert "not as SCIM does" in ended.stderr
    assert json.loads(ended.stdout)["lines"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{url}", "-", "-"], "only one of TOKEN and FILE"),
        (["{url}", "{file}"], "TOKEN or FILE is missing"),
        (["{url}"], "Missing argument '[TOKEN] FILE'"),
        (["{url}", "t", "{file}", "{file}"], "and nothing else"),
        (["{url}", "@/nowhere/token", "{file}"], "cannot be read: No such file"),
        (["{url}", "", "{file}"], "TOKEN is missing"),
        (["http://[::1", "t", "{file}"], "is the server's https:// URL"),
        (["{url}", "t", "{file}", "--refused", "{file}"], "written over FILE"),
        (["{url}", "t", "{file}", "--refused", "/nowhere/refused"], "cannot be written"),
        (["{url}", "t", "/nowhere/people"], "does not exist"),
        (["{url}", "t", "{file}", "--type", "../Users"], "cannot be a name"),
        (["http://scim.example/v2", "t", "{file}"], "must be https://"),
    ],
)
def test_wrong_usage_is_explained_and_spoils_no_file(loader: Loader, words: list[str], said: str) -> None:
    loader.file.write_text(person("ann"))
    filled = [word.format(url=loader.base_url, file=loader.file) for word in words]
    result = CliRunner().invoke(main, ["scim", "load", *filled])
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert loader.file.read_text() == person("ann")
