"""The programs of an installation that are connected to its database; each names its connections."""

from sqlalchemy import Connection

# The name of a connection may be read by every login; what it does may not.
CONNECTED = """
SELECT application_name, count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND starts_with(application_name, 'identity ')
 GROUP BY application_name
"""


def programs_connected(connection: Connection) -> dict[str, int]:
    """Return how many connections each program has, by its name without ``identity``."""
    found = connection.exec_driver_sql(CONNECTED)
    return {name.removeprefix("identity "): count for name, count in found}
