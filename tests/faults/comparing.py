"""The book of what was answered against the database: what was lost, and what was done twice."""

from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from tests.faults.load import Callers, Load, open_http
from tests.faults.stage import Stage

LOST = {
    "user": "SELECT given FROM unnest(%(users)s::uuid[]) AS given"
    " EXCEPT SELECT id FROM principals WHERE kind = 'user' AND deleted_at IS NULL",
    "agent": "SELECT given FROM unnest(%(agents)s::uuid[]) AS given"
    " EXCEPT SELECT id FROM principals WHERE kind = 'agent' AND deleted_at IS NULL",
    "cut": "SELECT given FROM unnest(%(cuts)s::uuid[]) AS given"
    " EXCEPT SELECT id FROM principals WHERE state = 'deprovisioned'",
    "event of a cut": "SELECT given FROM unnest(%(cuts)s::uuid[]) AS given"
    " EXCEPT SELECT subject_id FROM events WHERE type = 'user.deprovisioned'",
    "event of a suspension": "SELECT given FROM unnest(%(left)s::uuid[]) AS given"
    " EXCEPT SELECT subject_id FROM events WHERE type = 'agent.suspended'",
}
"""What was answered 2xx and is not there."""

TWICE = {
    "event": "SELECT subject_id, type FROM events WHERE (type LIKE 'user.%%' OR type LIKE 'agent.%%')"
    " GROUP BY subject_id, type HAVING count(*) > 1",
    "name": "SELECT name FROM principals WHERE kind IN ('user', 'agent') GROUP BY kind, name HAVING count(*) > 1",
    "version of a person who left": "SELECT DISTINCT version FROM principals WHERE id = ANY (%(cuts)s) OFFSET 1",
    "version of an agent": "SELECT DISTINCT version FROM principals WHERE id = ANY (%(left)s) OFFSET 1",
    "count": "SELECT kind FROM (SELECT kind, count(*) AS living FROM principals WHERE deleted_at IS NULL GROUP BY kind)"
    " AS there FULL JOIN (SELECT kind, sum(living) AS living FROM principal_counts GROUP BY kind) AS counted"
    " USING (kind) WHERE there.living IS DISTINCT FROM counted.living",
}
"""What is there more often than it was done. All who left have the same past, and so the same version."""

OPEN_ROWS = "SELECT count(*) FROM outbox WHERE done_at IS NULL"
ACTIVE_AGENTS = "SELECT count(*) FROM principals WHERE id = ANY (%(left)s) AND state <> 'suspended'"
FOLLOWED_SINCE = "SELECT count(*) FROM outbox WHERE created_at > %(since)s AND done_at IS NOT NULL"
CASCADES = """
SELECT extract(epoch FROM done_at - created_at) FROM outbox
 WHERE principal_id = ANY (%(cuts)s) AND priority = 0 AND done_at IS NOT NULL AND created_at > %(since)s
"""


@dataclass
class Compared:
    """What a comparison found; each line names a tenant, what it is about, and whom."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)


def compare(stage: Stage, load: Load) -> Compared:
    """Compare when everything has settled."""
    found = Compared()
    for callers in load.callers:
        slug = callers.tenant.slug
        with stage.sql(callers.tenant) as connection, open_http(stage) as http:
            for what, statement in LOST.items():
                found.lost += [f"{slug}: {what} {row}" for row in _rows(connection, statement, callers)]
            for what, statement in TWICE.items():
                found.twice += [f"{slug}: {what} {row}" for row in _rows(connection, statement, callers)]
            callers.stopped.clear()  # asks again until it is told
            found.live += [f"{slug}: {token}" for token in callers.book.tokens if callers.is_live(http, token)]
            found.live += [f"{slug}: {token} after the cut" for token in callers.book.live]
    return found


def is_settled(stage: Stage, load: Load) -> bool:
    """Say whether nothing waits for a worker, and every agent of those who left is suspended."""
    statements = (OPEN_ROWS, ACTIVE_AGENTS)
    return all(_count(stage, callers, statement) == 0 for callers in load.callers for statement in statements)


def has_followed(stage: Stage, load: Load, since: datetime) -> bool:
    """Say whether a worker has done something that was asked for after a moment of the database's clock."""
    try:
        return any(_count(stage, callers, FOLLOWED_SINCE, since=since) for callers in load.callers)
    except psycopg.OperationalError:  # PostgreSQL was killed
        return False


def database_now(stage: Stage, load: Load) -> datetime:
    """Return the time by the database's clock."""
    with stage.sql(load.callers[0].tenant) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def cascades_s(stage: Stage, load: Load, since: datetime) -> list[float]:
    """Return how long the consequences of each cut after a moment took, by the database's clock."""
    found = []
    for callers in load.callers:
        with stage.sql(callers.tenant) as connection:
            found += [float(row[0]) for row in _rows(connection, CASCADES, callers, since=since)]
    return found


def _count(stage: Stage, callers: Callers, statement: str, **more: object) -> int:
    with stage.sql(callers.tenant) as connection:
        return int(_rows(connection, statement, callers, **more)[0][0])


def _rows(connection: psycopg.Connection, statement: str, callers: Callers, **more: object) -> list[tuple[object, ...]]:
    book = callers.book
    cuts = set(book.cuts)
    named = {
        "users": book.users,
        "agents": list(book.agents),
        "cuts": book.cuts,
        "left": [agent for agent, owner in list(book.agents.items()) if owner in cuts],  # written meanwhile
    }
    return connection.execute(statement.encode(), named | more).fetchall()
