"""The lines of a file as Bulk requests, batch by batch. Only numbers are kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cli.problems import Refused
from cli.scim.expectations import Answer
from cli.scim.load.bulks import ATTEMPTS, PAUSE_S, Bulks, Limits
from cli.scim.load.lines import Line, NotLoaded, not_loaded

WHOLE_REFUSED = frozenset({400, 413, 422})
"""Of a whole Bulk: one operation may be why, so the others are sent without it."""
NOT_NOW = frozenset({429, 503})

FIRST_BATCH = 10
BATCH_S = 1.0
"""A Bulk should take about this long, so that the numbers move every second: the first one is small, and each further
one as large as the last one's speed allows."""
GROWTH_MAX = 4.0
HELD_MAX = 500  # refused lines that wait for lines before them

Json = dict[str, Any]


@dataclass(slots=True)
class Tally:
    """The outcomes of the lines so far. ``bytes`` counts what was read, ``valid`` the good lines of a dry run, and
    ``unreadable`` those of the refused lines that were no resource.
    """

    created: int = 0
    there_already: int = 0
    refused: int = 0
    valid: int = 0
    bytes: int = 0
    unreadable: int = 0

    @property
    def lines(self) -> int:
        """The number of lines that have an outcome."""
        return self.created + self.there_already + self.refused + self.valid

    def as_json(self, *, dry_run: bool) -> Json:
        """Return the numbers."""
        if dry_run:
            return {"lines": self.lines, "valid": self.valid, "refused": self.refused, "dry_run": True}
        return {
            "lines": self.lines,
            "created": self.created,
            "there_already": self.there_already,
            "refused": self.refused,
        }


@dataclass(slots=True)
class Load:
    """One load. ``refuse`` receives each line that was not loaded, in the order of the file. ``on_progress`` receives
    the numbers after each Bulk; ``clock`` counts seconds.
    """

    bulks: Bulks
    limits: Limits
    endpoint: str
    refuse: Callable[[NotLoaded], None]
    on_progress: Callable[[Tally], None]
    clock: Callable[[], float]
    tally: Tally = field(default_factory=Tally)
    batch_max: int = FIRST_BATCH
    held: list[NotLoaded] = field(default_factory=list)

    def load(self, lines: Iterable[Line | NotLoaded]) -> Tally:
        """Send every line once. Raises ``Refused`` where the server ends it; ``tally`` says how far it came."""
        try:
            self._load(lines)
        finally:
            self._give_back()
        self.on_progress(self.tally)
        return self.tally

    def _load(self, lines: Iterable[Line | NotLoaded]) -> None:
        batch: list[Line] = []
        operations: list[bytes] = []
        for line in lines:
            self.tally.bytes = line.end
            if isinstance(line, NotLoaded):
                self._note_refused(line)
                is_full, operation = not batch or len(self.held) >= HELD_MAX, b""
            else:
                operation = line.operation(self.endpoint)
                is_full = len(batch) >= self.batch_max or not self.limits.have_room(operations, operation)
            if is_full:
                self._send(batch)
                batch, operations = [], []
            if isinstance(line, Line):
                batch.append(line)
                operations.append(operation)
        self._send(batch)

    def _send(self, batch: list[Line]) -> None:
        """Send a batch; in halves where it is refused as a whole. Lines that got 429 or 503 are sent again."""
        waiting = [(batch, 0)] if batch else []
        began_s = self.clock()
        while waiting:
            part, attempt = waiting.pop()
            answer = self.bulks.send([line.operation(self.endpoint) for line in part])
            if answer.status in WHOLE_REFUSED and len(part) > 1:
                half = len(part) // 2
                waiting += [(part[half:], attempt), (part[:half], attempt)]
            elif answer.status in WHOLE_REFUSED:
                self._note_refused(not_loaded(part[0], answer.status, dict(answer.body or {})))
            elif again := self._account(part, reports_in(answer), is_last=attempt + 1 >= ATTEMPTS):
                self.bulks.pause(PAUSE_S * 2**attempt)
                waiting.append((again, attempt + 1))
            self.on_progress(self.tally)
        if batch:
            self.batch_max = next_batch(len(batch), self.clock() - began_s)
        self._give_back()

    def _give_back(self) -> None:
        """Pass the refused lines on in the order of the file; all lines before them have an outcome."""
        held, self.held = sorted(self.held, key=lambda line: line.number), []
        for line in held:
            self.refuse(line)

    def _account(self, part: list[Line], reports: dict[str, Json], *, is_last: bool) -> list[Line]:
        """Count the outcome of each line; return those to be sent again."""
        again = []
        for line in part:
            report = reports.get(str(line.number), {})
            status, error = status_of(report), report.get("response")
            error = error if isinstance(error, dict) else {"detail": "the server did not report it"}
            if 200 <= status < 300:
                self.tally.created += 1
            elif status == 409 and error.get("scimType", "uniqueness") == "uniqueness":
                self.tally.there_already += 1
            elif status in NOT_NOW and not is_last:
                again.append(line)
            else:
                self._note_refused(not_loaded(line, status, error))
        return again

    def _note_refused(self, line: NotLoaded) -> None:
        self.held.append(line)
        self.tally.refused += 1
        self.tally.unreadable += line.is_unreadable

    def try_out(self, lines: Iterable[Line | NotLoaded]) -> None:
        """Count the lines that a load would send and those that it would not, and send nothing."""
        for line in lines:
            self.tally.bytes = line.end
            if isinstance(line, NotLoaded):
                self._note_refused(line)
                self._give_back()
            else:
                self.tally.valid += 1
            self.on_progress(self.tally)


def next_batch(lines: int, took_s: float) -> int:
    """Return how many lines the next Bulk may have, after one of so many took so long."""
    factor = min(GROWTH_MAX, max(1 / GROWTH_MAX, BATCH_S / max(took_s, 0.001)))
    return max(1, round(lines * factor))


def reports_in(answer: Answer) -> dict[str, Json]:
    """Return the operations of a BulkResponse by bulkId. Raises ``Refused``."""
    operations = answer.member("Operations")
    if not isinstance(operations, list):
        raise Refused(f"/Bulk answers {answer.status}, not as SCIM does: is BASE_URL right?", 1)
    named = [report for report in operations if isinstance(report, dict)]
    return {report["bulkId"]: report for report in named if isinstance(report.get("bulkId"), str)}


def status_of(report: Json) -> int:
    """Return the status of one operation; 0 where there is none."""
    status = report.get("status")
    if isinstance(status, dict):  # SCIM 1.1
        status = status.get("code")
    text = str(status)
    return int(text) if text.isascii() and text.isdecimal() and len(text) == 3 else 0
