"""One part after the other is killed under load; each time everything must serve again before the next."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import cycle, islice

import psycopg

from tests.faults.comparing import Compared, cascades_s, compare, database_now, has_followed, is_settled
from tests.faults.load import Load, loaded
from tests.faults.stage import Stage, standing

BETWEEN_DONE = 15
"""Requests that are done between two kills, so that each falls into another moment of the work."""

SETTLED_S_MAX = 10.0
SETTLED_BESIDE_TESTS_S_MAX = 30.0
"""From the end of the load until no work waits: where the run has the machine for itself, and where other tests run."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is killed, on which broker, how often, and after how many seconds no more; in turn in each of the ways."""

    name: str
    broker: str
    kills: int
    seconds: float
    ways: tuple[Callable[[Stage], None], ...]


def _broker(stage: Stage) -> None:
    stage.broker.kill_and_start()


FAULTS = (
    Fault("web", "pgmq", 60, 240, (partial(Stage.kill, program="web"), partial(Stage.kill_children, program="web"))),
    Fault("worker", "pgmq", 60, 330, (partial(Stage.kill, program="worker"),)),
    Fault("relay", "pgmq", 60, 240, (partial(Stage.kill, program="relay"),)),
    Fault("PostgreSQL", "pgmq", 20, 120, (Stage.kill_postgres, Stage.kill_backend)),
    Fault("Redis", "redis", 20, 120, (_broker,)),
    Fault("RabbitMQ", "rabbitmq", 20, 180, (_broker,)),
)
"""The long form."""


@dataclass
class Row:
    """What one run found. Times are in seconds; ``settled_s`` runs from the end of the load."""

    name: str
    kills: int
    wanted: int
    accepted: tuple[int, int, int, int]
    """Users, agents, cuts and tokens."""
    lost: list[str]
    twice: list[str]
    live: list[str]
    faults: list[str]
    serves_s: list[float]
    follows_s: list[float]
    cascade_s: list[float]
    settled_s: float
    doctor: str
    statuses: dict[str, int]


def at(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def run_faults(fault: Fault) -> Row:
    """Kill as often as the fault says, or as its seconds allow, and compare."""
    with standing(fault.broker) as stage:
        recovered = []
        with loaded(stage) as load:
            recover(stage, load)
            since = database_now(stage, load)
            ends_at = time.monotonic() + fault.seconds
            for kill in islice(cycle(fault.ways), fault.kills):
                if time.monotonic() > ends_at:
                    break
                stage.wait_until(partial(load.has_done, load.done() + BETWEEN_DONE), "more is done")
                kill(stage)
                recovered.append(recover(stage, load))
            stage.wait_until(load.has_cut_everywhere, "each tenant has cut somebody")
        return row_of(fault.name, stage, load, recovered, wanted=fault.kills, since=since)


def recover(stage: Stage, load: Load) -> tuple[float, float]:
    """Wait until each kind of request is done, and consequences follow; return after how long each was so."""
    began = time.monotonic()
    since = _database_again(stage, load)
    served: list[float] = []

    def is_well() -> bool:
        assert not load.errors, load.errors
        if not served and load.answers.all_served_since(began):
            served.append(time.monotonic() - began)
        return bool(served) and has_followed(stage, load, since)

    stage.wait_until(is_well, "everything serves again")
    return served[0], time.monotonic() - began


def _database_again(stage: Stage, load: Load) -> datetime:
    found: list[datetime] = []

    def answers() -> bool:
        try:
            found.append(database_now(stage, load))
        except psycopg.OperationalError:
            return False
        return True

    stage.wait_until(answers, "PostgreSQL answers again")
    return found[-1]


def row_of(
    name: str, stage: Stage, load: Load, recovered: Sequence[tuple[float, float]], *, wanted: int, since: datetime
) -> Row:
    """Wait until everything has settled, compare, and write down what there is to say."""
    settled_s = stage.wait_until(lambda: is_settled(stage, load), "all agents of those who left are suspended")
    found: Compared = compare(stage, load)
    status, said = stage.doctor()
    return Row(
        name=name,
        kills=len(recovered),
        wanted=wanted,
        accepted=(
            load.total(lambda book: len(book.users)),
            load.total(lambda book: len(book.agents)),
            load.total(lambda book: len(book.cuts)),
            load.total(lambda book: book.exchanges),
        ),
        lost=found.lost,
        twice=found.twice,
        live=found.live,
        faults=load.answers.faults,
        serves_s=[one[0] for one in recovered],
        follows_s=[one[1] for one in recovered],
        cascade_s=cascades_s(stage, load, since),
        settled_s=settled_s,
        doctor="" if status == 0 else said,
        statuses=dict(load.answers.statuses),
    )
