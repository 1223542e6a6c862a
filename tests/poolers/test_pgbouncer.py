"""Behind PgBouncer in transaction mode, where each transaction may have another connection: as docs/operating.md says.

What is run is the PgBouncer that is installed: Debian's 1.18, which knows nothing of prepared statements.
"""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.main import main
from config import isolation
from config.celery import run_relay_until, run_worker
from config.settings import Settings, load_settings
from dev.demo.api import Api
from dev.demo.upstream import UpstreamIssuer, serving
from identity.model.errors import Unavailable
from identity.model.ids import TenantId
from identity.store.session import STATEMENT_TIMEOUT_MS
from identity.store.transaction import make_engine, transaction
from scim.patch.request import PATCH_SCHEMA
from tests.conformance.stage import ADMIN_TOKEN, ERP, EXCHANGE, ID_TOKEN, Party, identity_dev, set_up
from tests.conformance.test_authlib_client import ask, fetch_metadata, introspect
from tests.conftest import Server
from tests.poolers.pgbouncer import Pooler, pooling
from tests.workers.plant import wait_until

KEY = "A" * 43 + "="

Product = tuple[str, int, dict[str, Party]]
"""The name of a database, the port of the web server on it, and two tenants."""


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[Pooler]:
    with pooling(server, connections=4) as running:
        yield running


@pytest.fixture
def narrow(server: Server) -> Iterator[Pooler]:
    """One connection for everybody."""
    with pooling(server, connections=1) as running:
        yield running


@pytest.fixture(scope="module")
def product(server: Server, pooler: Pooler) -> Iterator[Product]:
    """`identity dev` (web, worker, relay) behind the pooler, listening past it, with two tenants."""
    name, upstream = server.copy(prefix="pooled"), UpstreamIssuer()
    given = {
        "IDENTITY_DATABASE_PREPARED": "false",
        "IDENTITY_DATABASE_LISTEN_URL": server.url(name, role="identity_app"),
        "IDENTITY_KEY_ENCRYPTION_KEY": KEY,
    }
    with (
        identity_dev(pooler.url(name), server.url(name), **given) as base_url,
        serving(upstream.app) as upstream.url,
        httpx2.Client(timeout=20, trust_env=False) as http,
    ):
        parties = {slug: set_up(http, base_url, slug, upstream) for slug in ("acme", "rival")}
        yield name, urlsplit(base_url).port or 0, parties
    server.drop(name)


def task_token(party: Party, person: str) -> str:
    subject = {"subject_token": party.id_token(person), "subject_token_type": ID_TOKEN, "resource": ERP}
    token: str = ask(party.invoice_bot, fetch_metadata(party.issuer), grant_type=EXCHANGE, **subject)["access_token"]
    return token


def is_active(party: Party, token: str) -> bool:
    return bool(introspect(party.erp, fetch_metadata(party.issuer), token)["active"])


def patched(scim: Api, path: str, name: str, value: object) -> int:
    body = {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "replace", "path": name, "value": value}]}
    return scim.call("PATCH", path, body).status


@pytest.mark.promise(1)
@pytest.mark.promise(4)
def test_scim_tokens_cuts_and_their_cascade_work_behind_it(product: Product) -> None:
    acme, rival = product[2].values()
    for _ in range(5):  # every statement more often than it takes to be prepared, of both tenants in turns
        tokens = {party.issuer: task_token(party, "sam") for party in (acme, rival)}
        assert is_active(acme, tokens[acme.issuer])
        assert is_active(rival, tokens[rival.issuer])
        assert not is_active(rival, tokens[acme.issuer])
    assert patched(acme.scim, f"/Users/{acme.ids['sam']}", "title", "Clerk of all") == 200
    assert patched(acme.scim, f"/Users/{acme.ids['sam']}", "active", False) == 200
    assert (is_active(acme, tokens[acme.issuer]), is_active(rival, tokens[rival.issuer])) == (False, True)
    assert patched(acme.scim, f"/Users/{acme.ids['dana']}", "active", False) == 200
    agent = f"/Agents/{acme.ids['invoice-bot']}"
    wait_until(lambda: acme.scim.call("GET", agent).body["active"] is False, 10)  # nobody answers for it any more
    assert rival.scim.call("GET", f"/Agents/{rival.ids['invoice-bot']}").body["active"] is True


def test_the_doctor_finds_nothing_wrong_there(server: Server, pooler: Pooler, product: Product) -> None:
    found = doctor(server, pooler, product[0], listens_past_it=True, port=product[1])
    assert {name: advice for name, advice in found.items() if advice} == {}


def doctor(server: Server, pooler: Pooler, database: str, *, listens_past_it: bool, port: int = 1) -> dict[str, str]:
    environment = {
        "IDENTITY_DATABASE_URL": pooler.url(database),
        "IDENTITY_OWNER_DATABASE_URL": server.url(database),
        "IDENTITY_DATABASE_PREPARED": "false",
        "IDENTITY_DATABASE_LISTEN_URL": server.url(database, role="identity_app") if listens_past_it else "",
        "IDENTITY_KEY_ENCRYPTION_KEY": KEY,
        "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN,
        "IDENTITY_PORT": str(port),
    }
    answer = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
    findings = json.loads(answer.output)["findings"]
    return {found["name"]: "" if found["is_well"] else found["advice"] for found in findings}


# --- one connection for all ------------------------------------------------------------------------------------


def present(engine: Engine, tenant: TenantId) -> tuple[str, str, str, int]:
    """Tenant, role and time-out of a transaction, and the connection of the server that it has."""
    question = "SELECT current_setting('app.tenant'), current_user, current_setting('statement_timeout')"
    with transaction(engine, tenant) as tx:
        return tuple(tx.connection.exec_driver_sql(f"{question}, pg_backend_pid()").one())  # type: ignore[return-value]


@pytest.mark.promise(4)
def test_neither_tenant_nor_role_nor_limit_goes_from_one_transaction_to_the_next(database: str, narrow: Pooler) -> None:
    acme, rival = TenantId(uuid4()), TenantId(uuid4())
    app = make_engine(narrow.url(database), is_prepared=False)
    relay = make_engine(narrow.url(database), role="identity_relay", is_prepared=False)
    stranger = psycopg.connect(narrow.url(database), autocommit=True, prepare_threshold=None)
    asked = (
        "SELECT coalesce(current_setting('app.tenant', true), ''), current_user, current_setting('role'),"
        " pg_backend_pid()"
    )
    limit = f"{STATEMENT_TIMEOUT_MS // 1000}s"
    pids = set()
    for engine, role, tenant in [
        (app, "identity_app", acme),
        (relay, "identity_relay", rival),
        (app, "identity_app", rival),
    ] * 3:
        *told, pid = present(engine, tenant)
        assert told == [str(tenant), role, limit]
        *left, after = stranger.execute(asked).fetchone() or ()
        assert left == ["", "identity_web", "none"]
        pids |= {pid, after}
    assert len(pids) == 1  # it was one connection
    for each in (app, relay):
        each.dispose()
    stranger.close()


# --- what does not work is said ---------------------------------------------------------------------------------


def settings(url: str, **more: object) -> Settings:
    return load_settings(database_url=url, database_prepared=False, key_encryption_key=KEY, **more)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not heard at once is not heard."""
    monkeypatch.setattr(isolation, "HEARD_WITHIN_S", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_relay_and_a_worker_that_would_hear_nothing_refuse_to_run(
    server: Server, database: str, pooler: Pooler
) -> None:
    for run in (lambda found: run_relay_until(found, lambda: False), run_worker):
        with pytest.raises(Unavailable, match="Set IDENTITY_DATABASE_LISTEN_URL to a direct connection"):
            run(settings(pooler.url(database)))
    assert "IDENTITY_DATABASE_LISTEN_URL" in doctor(server, pooler, database, listens_past_it=False)["listen"]


@pytest.mark.usefixtures("impatient")
def test_listening_to_another_database_is_hearing_nothing(server: Server, database: str, pooler: Pooler) -> None:
    elsewhere = server.url("identity", role="identity_app")
    with pytest.raises(Unavailable, match="it is a standby or another database"):
        run_relay_until(settings(pooler.url(database), database_listen_url=elsewhere), lambda: False)
