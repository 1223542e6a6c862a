"""A PgBouncer of the tests' own before the run's PostgreSQL: in transaction mode, on a port of loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dev.postgres import CLEAN_ENVIRONMENT, LOGIN, PORT
from server.process import end_with_parent, stop_process, unprivileged_account
from tests.conftest import Server
from tests.workers.plant import wait_until

STOP_S_MAX = 10

# What docs/operating.md says, but for where, and for who may log in.
CONFIGURATION = """
[databases]
* = host={server} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
logfile = {folder}/pgbouncer.log
pool_mode = transaction
max_client_conn = 200
default_pool_size = {connections}
"""


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running pooler. ``connections`` of a database and login are all that the server sees."""

    port: int

    def url(self, database: str, login: str = LOGIN) -> str:
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"


@contextmanager
def pooling(server: Server, *, connections: int, logins: tuple[str, ...] = (LOGIN,)) -> Iterator[Pooler]:
    """Run a pooler; skips the test where there is none."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer was found: install pgbouncer")
    account = unprivileged_account()  # that of PostgreSQL, whose socket is closed to others
    with tempfile.TemporaryDirectory(prefix="identity-pooler-") as name:
        folder, pooler = Path(name), Pooler(_free_port())
        told = {"server": server.socket_folder, "server_port": PORT, "port": pooler.port, "folder": folder}
        (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(connections=connections, **told))
        (folder / "users.txt").write_text("".join(f'"{login}" ""\n' for login in logins))
        if account is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.uid, account.gid)
        process = subprocess.Popen(
            [program, "--quiet", folder / "pgbouncer.ini"],
            stdin=subprocess.DEVNULL, cwd=folder, env=CLEAN_ENVIRONMENT, preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509
            **({} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}),
        )  # fmt: skip
        try:
            wait_until(lambda: _answers(pooler, logins[0]))
            yield pooler
        finally:
            stop_process(process, gentle="SIGINT", wait_s=STOP_S_MAX)


def _answers(pooler: Pooler, login: str) -> bool:
    try:
        psycopg.connect(pooler.url("identity", login), connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
