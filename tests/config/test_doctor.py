"""``identity doctor`` finds each planted fault, and says which command or setting mends it."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner

from cli import disk, doctor_database, doctor_programs
from cli.main import main
from dev.running import write_running
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.tenants import create_tenant
from identity.model.ids import TenantId
from identity.model.outbox import URGENT
from identity.store.notices import connection_string
from identity.store.transaction import make_engine, transaction
from server.schema import head_revision
from tests.conftest import SUPERUSER, Server
from tests.fixtures import ADMINISTRATOR
from tests.workers.plant import TwoTenants

KEY, OTHER_KEY = bytes(32), bytes(range(32))
HEALTHY = ("database", "role", "schema", "isolation", "listen", "clock", "keys", "broker", "web", "worker", "relay",
           "queue", "outbox", "dead letters", "disk")  # fmt: skip


@dataclass
class Web:
    """What answers where the web server should listen."""

    status: int = 200
    document: Any = field(default_factory=lambda: {"status": "ready"})
    port: int = 0


@contextmanager
def answering() -> Iterator[Web]:
    web = Web()

    class Probed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(web.document).encode()
            self.send_response(web.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Probed) as server:
        web.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield web
        server.shutdown()
        thread.join()


@dataclass
class Installation:
    """A database with two tenants, and what stands for its web server, worker and relay."""

    server: Server
    database: str
    two_tenants: TwoTenants
    web: Web
    programs: dict[str, psycopg.Connection]
    environment: dict[str, str]

    def run(self, **changed: str) -> tuple[int, list[dict[str, Any]]]:
        named = {f"IDENTITY_{name.upper()}": value for name, value in (self.environment | changed).items()}
        result = CliRunner().invoke(main, ["doctor", "--json"], env=named)
        return result.exit_code, json.loads(result.output)["findings"]

    def found(self, **changed: str) -> dict[str, str]:
        """What is not well, and the advice."""
        status, findings = self.run(**changed)
        ill = {each["name"]: each["advice"] for each in findings if not each["is_well"]}
        assert status == (1 if ill else 0)
        return ill

    def as_superuser(self, statement: str) -> None:
        with psycopg.connect(
            host=self.server.socket_folder, user=SUPERUSER, dbname=self.database, autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def stop(self, program: str) -> None:
        self.programs.pop(program).close()


@pytest.fixture
def whole(
    server: Server, database: str, owner_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Installation]:
    """An installation with which nothing is wrong."""
    monkeypatch.chdir(tmp_path)  # where no `identity dev` has a folder
    monkeypatch.setattr(doctor_database, "room_of", lambda _: None)  # nothing of the disk that tests run on
    monkeypatch.setattr(doctor_programs, "LOOKED_FOR_S", 0.0)
    engine = make_engine(database_url)
    for slug in ("acme", "rival"):
        with transaction(engine, tenant_id := TenantId(uuid4())) as tx:
            now = datetime.now(UTC)
            create_tenant(
                tx, slug=slug, display_name=slug, encryption=EnvelopeEncryption(KEY), caller=ADMINISTRATOR, now=now
            )
    engine.dispose()
    conninfo = connection_string(database_url)
    with ExitStack() as stack:
        programs = {
            name: stack.enter_context(psycopg.connect(conninfo, application_name=f"identity {name}", autocommit=True))
            for name in ("serve", "worker", "relay")
        }
        web = stack.enter_context(answering())
        environment = {
            "database_url": database_url, "key_encryption_key": b64encode(KEY).decode(), "admin_token": "x" * 32,
            "port": str(web.port), "owner_database_url": "", "broker_url": "", "database_listen_url": "", "host": "",
        }  # fmt: skip
        yield Installation(server, database, TwoTenants(owner_url, database_url, tenant_id), web, programs, environment)


def test_nothing_is_wrong_with_a_whole_installation(whole: Installation) -> None:
    status, findings = whole.run()
    assert [each for each in findings if not each["is_well"]] == []
    assert (status, tuple(each["name"] for each in findings)) == (0, ("settings", *HEALTHY))


# --- settings ---


@pytest.mark.parametrize("name", ["key_encryption_key", "admin_token"])
def test_a_missing_secret_is_found(whole: Installation, name: str) -> None:
    assert whole.found(**{name: ""})["settings"].startswith(f"IDENTITY_{name.upper()} is not set")


def test_a_missing_extra_is_found(whole: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.extras.find_spec", lambda _name: None)
    [(name, advice)] = whole.found(broker_url="redis://localhost").items()
    assert (name, "pip install 'identity-foundation[redis]'" in advice) == ("settings", True)


def test_a_broken_file_of_settings_is_found(whole: Installation, tmp_path: Path) -> None:
    (file := tmp_path / "broken.toml").write_text("port = [")
    [(name, advice)] = whole.found(config=str(file)).items()
    assert (name, advice.startswith(f"{file} is not TOML")) == ("settings", True)


# --- database ---


def test_a_database_that_is_down_is_found(whole: Installation) -> None:
    [(name, advice)] = whole.found(database_url="postgresql://nobody@127.0.0.1:1/none").items()
    assert (name, advice.startswith("the database does not answer"), "IDENTITY_DATABASE_URL" in advice) == (
        "database", True, True,
    )  # fmt: skip


def test_a_wrong_login_is_found(whole: Installation) -> None:
    url = whole.environment["database_url"].replace("identity_web@", "stranger@")
    [(name, advice)] = whole.found(database_url=url).items()
    assert (name, advice.startswith("the database refuses the login")) == ("database", True)
    assert "Correct user and password in IDENTITY_DATABASE_URL" in advice


def test_a_database_that_is_not_there_is_found(whole: Installation) -> None:
    url = whole.environment["database_url"].replace(whole.database, "no_such_database")
    [(name, advice)] = whole.found(database_url=url).items()
    assert (name, advice.startswith("there is no such database")) == ("database", True)


def test_a_database_that_was_never_migrated_is_found(whole: Installation, empty_owner_url: str) -> None:
    url = empty_owner_url.replace("identity@", "identity_web@")
    [(name, advice)] = whole.found(database_url=url, owner_database_url=empty_owner_url).items()
    assert (name, f"run `identity migrate` to reach {head_revision()}" in advice) == ("schema", True)


def test_a_schema_that_a_later_version_made_is_found(whole: Installation) -> None:
    with whole.two_tenants.sql() as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later', serves_from = 'later'")
    assert "install a later one" in whole.found()["schema"]


def test_a_login_without_the_application_s_role_is_found(whole: Installation) -> None:
    login = f"login_{uuid4().hex[:12]}"
    whole.as_superuser(f"CREATE ROLE {login} LOGIN")
    try:
        url = whole.environment["database_url"].replace("identity_web@", f"{login}@")
        [(name, advice)] = whole.found(database_url=url).items()
        assert (name, "GRANT identity_app TO the login" in advice) == ("role", True)
    finally:
        whole.as_superuser(f"DROP ROLE {login}")


def test_row_level_security_that_is_off_is_found(whole: Installation) -> None:
    with whole.two_tenants.sql() as connection:
        connection.execute("ALTER TABLE principals NO FORCE ROW LEVEL SECURITY")
    assert list(whole.found()) == ["isolation"]
    assert "row-level security is not forced on principals" in whole.found()["isolation"]


def test_a_listener_that_hears_nothing_is_found(whole: Installation) -> None:
    elsewhere = whole.environment["database_url"].replace(whole.database, "postgres")
    [(name, advice)] = whole.found(database_listen_url=elsewhere).items()
    assert (name, "Set IDENTITY_DATABASE_LISTEN_URL" in advice) == ("listen", True)


@pytest.mark.parametrize(("seconds", "how"), [(3600, "ahead of"), (-3600, "behind"), (2, "ahead of"), (0.3, "")])
def test_a_clock_that_is_apart_from_the_database_s_is_found(
    whole: Installation, monkeypatch: pytest.MonkeyPatch, seconds: float, how: str
) -> None:
    class Apart(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=seconds)

    monkeypatch.setattr(doctor_database, "datetime", Apart)
    found = whole.found()
    assert list(found) == (["clock"] if how else [])
    assert found.get("clock", "").startswith(
        f"this machine's clock is {abs(seconds):.1f} s {how} the database's" if how else ""
    )


def test_a_wrong_key_encryption_key_is_found(whole: Installation) -> None:
    [(name, advice)] = whole.found(key_encryption_key=b64encode(OTHER_KEY).decode()).items()
    assert (name, advice.startswith("IDENTITY_KEY_ENCRYPTION_KEY is not the key")) == ("keys", True)


def test_one_tenant_s_key_that_was_sealed_with_another_key_is_found(whole: Installation) -> None:
    engine = make_engine(whole.two_tenants.url)
    with transaction(engine, TenantId(uuid4())) as tx:
        named = {"slug": "odd", "display_name": "odd", "encryption": EnvelopeEncryption(OTHER_KEY)}
        create_tenant(tx, **named, caller=ADMINISTRATOR, now=datetime.now(UTC))
    engine.dispose()
    assert whole.found()["keys"].startswith("1 of 3 signing keys were not opened")


def test_a_disk_that_is_nearly_full_is_found(whole: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_database, "room_of", disk.room_of)
    monkeypatch.setattr(disk, "FREE_MIN", 1.1)  # no disk is so empty
    assert "make room" in whole.found()["disk"]


# --- programs ---


def test_a_broker_that_is_down_is_found(whole: Installation) -> None:
    [(name, advice)] = whole.found(broker_url="amqp://127.0.0.1:1").items()
    assert (name, advice.startswith("the broker does not answer"), "IDENTITY_BROKER_URL" in advice) == (
        "broker", True, True,
    )  # fmt: skip


@pytest.mark.parametrize("program", ["worker", "relay"])
def test_a_program_that_does_not_run_is_found(whole: Installation, program: str) -> None:
    whole.stop(program)
    assert whole.found() == {program: f"no {program} is connected to the database: start `identity {program}`"}


def test_a_program_that_lost_its_connection_a_moment_ago_is_looked_for(
    whole: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.stop("relay")
    back = []

    def come_back(_: float) -> None:
        back.append(psycopg.connect(connection_string(whole.two_tenants.url), application_name="identity relay"))

    monkeypatch.setattr(doctor_programs, "LOOKED_FOR_S", 60.0)
    monkeypatch.setattr(doctor_programs.time, "sleep", come_back)
    assert whole.found() == {}
    back[0].close()


def test_programs_of_another_database_do_not_count(whole: Installation, database_url: str) -> None:
    whole.stop("worker")
    conninfo = connection_string(database_url.replace(whole.database, "postgres"))
    with psycopg.connect(conninfo, application_name="identity worker"):
        assert list(whole.found()) == ["worker"]


def test_a_program_that_logs_in_by_itself_counts(whole: Installation) -> None:
    """Web, workers and relays may have logins of their own; the name of a connection is for everybody to see."""
    whole.stop("worker")
    with psycopg.connect(
        host=whole.server.socket_folder, user=SUPERUSER, dbname=whole.database, application_name="identity worker"
    ):
        assert whole.found() == {}


def test_a_web_server_that_does_not_run_is_found(whole: Installation) -> None:
    whole.stop("serve")
    [(name, advice)] = whole.found(port="1").items()
    assert (name, "start `identity serve`, or correct IDENTITY_HOST and IDENTITY_PORT" in advice) == ("web", True)


def test_a_web_server_that_listens_on_another_machine_is_well(whole: Installation) -> None:
    _, findings = whole.run(port="1")
    [web] = [each for each in findings if each["name"] == "web"]
    assert (web["is_well"], "not asked" in web["advice"]) == (True, True)


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (503, {"reason": "schema", "detail": "run it"}, "says that it is not ready: schema, run it"),
        (404, {"status": 404}, "answers 404, as `identity serve` never does: correct IDENTITY_PORT"),
        (500, ["odd"], "answers 500, as `identity serve` never does"),
    ],
)
def test_a_web_server_that_is_not_ready_or_another_one_is_found(
    whole: Installation, status: int, document: object, said: str
) -> None:
    whole.web.status, whole.web.document = status, document
    [(name, advice)] = whole.found().items()
    assert (name, said in advice) == ("web", True)


# --- outbox ---

ROWS: dict[str, tuple[str, str, str]] = {
    "rows that the broker has and no worker takes": (
        "sent_at = now() - interval '11 s'",
        "queue",
        "the broker has had rows for 10 s that no worker has begun: start `identity worker` again, or more of them",
    ),
    "a backlog": (
        "created_at = now() - interval '61 s'",
        "outbox",
        "1 rows wait, the oldest for 61 s: start `identity relay`, and more `identity worker`",
    ),
    "dead letters": (
        "dead_at = now()",
        "dead letters",
        "1 rows were given up: GET /admin/v1/tenants/{tenant}/outbox?state=dead names them; replay or discard each",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_wait_in_the_outbox_are_found(whole: Installation, case: str) -> None:
    change, name, advice = ROWS[case]
    [row] = whole.two_tenants.news(whole.two_tenants.principals(1), priority=URGENT)
    assert whole.found() == {}
    _change(whole.two_tenants, row, change)
    assert whole.found() == {name: advice}


def _change(two_tenants: TwoTenants, row: UUID, change: str) -> None:
    with two_tenants.sql() as connection:
        connection.execute(f"UPDATE outbox SET {change} WHERE id = %s".encode(), (row,))


# --- the installation of an `identity dev` ---


def test_without_settings_the_folder_of_an_identity_dev_is_looked_at(whole: Installation, tmp_path: Path) -> None:
    folder = tmp_path / ".data"
    folder.mkdir()
    write_running(folder, {f"IDENTITY_{name.upper()}": value for name, value in whole.environment.items()})
    assert "x" * 32 not in (folder / "running.toml").read_text()
    assert (folder / "running.toml").stat().st_mode & 0o077 == 0
    nothing = dict.fromkeys(whole.environment, "")
    assert whole.found(**nothing) == {}
    assert whole.found(**nothing | {"admin_token": "y" * 32}) == {}  # exported, as `identity dev` says
    (folder / "running.toml").write_text('database_url = "postgresql://x@/x?host=/nonexistent"\n')
    assert whole.found(**nothing)["database"].endswith("start `identity dev --data .data`")


def test_without_settings_and_without_a_folder_the_missing_setting_is_named(whole: Installation) -> None:
    found = whole.found(**dict.fromkeys(whole.environment, ""))
    assert found["settings"].startswith("IDENTITY_DATABASE_URL is not set")


def test_a_broken_folder_of_an_identity_dev_is_found(whole: Installation, tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "running.toml").write_bytes(b"\xff")
    assert whole.found(database_url="")["settings"].startswith(f"{tmp_path / '.data' / 'running.toml'} is not TOML")
