"""Case against yardstick, turn by turn (A, B, A, B ...), so that a noisy machine disturbs both alike."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from statistics import median, quantiles

from benchmarks import bare
from benchmarks.cases import Case
from benchmarks.load import Slice, run_load
from benchmarks.request import Request
from benchmarks.serving import Served

HOST = "identity.example"
WARM_UP_REQUESTS = 200
ALONE_REQUESTS = 200
BARE_SHARE = 0.5  # of the seconds that a case has in a turn
SPARE = 1.4  # requests prepared for every one that is expected to be needed


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often, how many at once."""

    rounds: int
    seconds: float
    connections: int


@dataclass(slots=True)
class Measured:
    """What was seen of one case, or of the yardstick."""

    per_s: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)
    server_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    round_trips: float = 0.0

    @property
    def answers(self) -> int:
        """How many answers were counted."""
        return len(self.latencies_s)

    @property
    def rate(self) -> float:
        """Answers in a second, the median of the turns."""
        return median(self.per_s)

    @property
    def ratio(self) -> float:
        """The share of the yardstick's rate, the median of the turns."""
        return median(self.ratios)

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of the time to an answer."""
        return quantiles(self.latencies_s, n=100)[percent - 1] * 1_000

    def add(self, seen: Slice, server_cpu_s: float, database_cpu_s: float) -> None:
        """Take one stretch of load into account."""
        self.per_s.append(seen.per_s)
        self.latencies_s.extend(seen.latencies_s)
        self.server_cpu_s += server_cpu_s
        self.database_cpu_s += database_cpu_s


class Bench:
    """The product and the yardstick, both running, and the process that puts load on one of them at a time."""

    def __init__(
        self,
        product: Served,
        yardstick: Served,
        database_cpu_s: Callable[[], float],
        plan: Plan,
        load: ProcessPoolExecutor,
    ) -> None:
        self._product, self._yardstick, self._plan, self._load = product, yardstick, plan, load
        self._database_cpu_s = database_cpu_s
        self.bare = Measured()

    def measure(self, cases: list[Case], report: Callable[[str], None]) -> dict[str, Measured]:
        """Return what each case showed. Raises ``SystemExit`` when an answer is wrong."""
        found = {case.name: Measured() for case in cases}
        expected = {case.name: self._warm_up(case) for case in cases}
        self._bare_slice(self._plan.seconds * BARE_SHARE, Measured())
        for turn in range(self._plan.rounds):
            for case in cases:
                report(f"turn {turn + 1} of {self._plan.rounds}: {case.name}")
                yardstick = self._bare_slice(self._plan.seconds * BARE_SHARE, self.bare)
                wanted = int(expected[case.name] * self._plan.seconds * SPARE) + self._plan.connections
                seen = self._slice(self._product, case, wanted, found[case.name])
                found[case.name].ratios.append(seen.per_s / yardstick.per_s)
        for case in cases:
            found[case.name].alone_s = list(self._run(self._product, case, ALONE_REQUESTS, connections=1).latencies_s)
        return found

    def _warm_up(self, case: Case) -> float:
        return self._run(self._product, case, WARM_UP_REQUESTS * self._plan.connections).per_s

    def _bare_slice(self, seconds: float, into: Measured) -> Slice:
        wanted = int(40_000 * seconds)
        case = Case("bare", 200, lambda count: [Request("GET", bare.PATH)] * count)
        return self._slice(self._yardstick, case, wanted, into, seconds)

    def _slice(self, server: Served, case: Case, wanted: int, into: Measured, seconds: float | None = None) -> Slice:
        requests = encode(case, wanted)
        before = server.cpu_s(), self._database_cpu_s()
        seen = self._send(server, requests, case, self._plan.connections, seconds or self._plan.seconds)
        after = server.cpu_s(), self._database_cpu_s()
        into.add(seen, after[0] - before[0], after[1] - before[1])
        return seen

    def _run(self, server: Served, case: Case, wanted: int, connections: int | None = None) -> Slice:
        return self._send(server, encode(case, wanted), case, connections or self._plan.connections, self._plan.seconds)

    def _send(self, server: Served, requests: list[bytes], case: Case, connections: int, seconds: float) -> Slice:
        seen = self._load.submit(run_load, server.port, requests, connections, seconds, case.status).result()
        if seen.wrong:
            raise SystemExit(f"{case.name}: {seen.wrong} of {len(seen.latencies_s)} answers were wrong: {seen.example}")
        return seen


def encode(case: Case, wanted: int) -> list[bytes]:
    """Return requests as they are sent: one that is repeated is encoded once."""
    encoded: dict[int, bytes] = {}
    requests = list(case.requests(wanted))
    return [encoded.setdefault(id(each), each.to_bytes(HOST)) if id(each) not in encoded else encoded[id(each)]
            for each in requests]  # fmt: skip


@contextmanager
def load_process() -> Iterator[ProcessPoolExecutor]:
    """Start the one process that makes the load; it inherits nothing from this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool
