"""What is secret is shown once, to whom it belongs, and is afterwards in no log, no event, no answer and no row."""

import io
import logging

import psycopg
import pytest
import structlog

from identity.model.ids import PLATFORM
from identity.store.tables import metadata
from server.telemetry import configure_logging
from tests.access.endpoint_matrix import ASKS, GUARDED, Ask
from tests.access.owned_objects import ADMIN_TOKEN, Belongings, Estate, basic, settle

SECRET = ("scim_token", "password", "id_token", "task_token", "own_token", "idle_token")


def canaries(*tenants: Belongings) -> dict[str, str]:
    """Return everything that nobody may read again, by name; of a JWT its signature, which is what makes it one."""
    found = {"administrator": ADMIN_TOKEN}
    for has in tenants:
        named = {name: value for name, value in has.items() if name in SECRET or name.endswith("_secret")}
        found |= {f"{has['tenant']}.{name}": value.rsplit(".", 1)[-1] for name, value in named.items()}
    assert all(len(value) >= 32 for value in found.values())
    return found


def seen(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, value in secrets.items() if value in text]


@pytest.mark.requirement("S17")
@pytest.mark.rfc("7644", "2.1", "2.1-3")
@pytest.mark.parametrize("one", [one for one in ASKS if one.method == "GET"], ids=str)
def test_no_read_shows_a_secret(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    answer = sandbox.http.open(**one.filled(sandbox.mine), headers=one.credential(sandbox.mine))
    assert seen(answer.text, canaries(sandbox.mine, sandbox.rivals)) == []
    for word in ("sealed_private", "secret_hash", '"d":', "PRIVATE"):
        assert word not in answer.text


@pytest.mark.requirement("S17")
@pytest.mark.rfc("7644", "2.1", "2.1-3")
@pytest.mark.rfc("7644", "7.7", "7.7-1")
def test_no_row_of_any_table_holds_a_secret(refusing_estate: Estate) -> None:
    secrets = canaries(refusing_estate.mine, refusing_estate.rivals)
    found = []
    with psycopg.connect(refusing_estate.owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute("SET ROLE identity_app")
        tenants = [row[0] for row in connection.execute("SELECT tenant_id FROM tenants")]
        for tenant in (PLATFORM, *tenants):
            connection.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant)])
            for table in metadata.tables:
                rows = connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t".encode()).fetchall()
                found += [(table, name) for (text,) in rows for name in seen(text, secrets)]
    assert found == []


@pytest.mark.rfc("7644", "2.1", "2.1-3")
def test_no_log_and_no_refusal_shows_a_secret(sandbox: Estate) -> None:
    logs = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("json", "debug", stream=logs)
    logging.getLogger("sqlalchemy").setLevel(logging.DEBUG)  # the worst that an operator may choose
    try:
        made = settle(sandbox.http, "third")  # the whole slice: connections, people, clients, tokens
        secrets = canaries(made, sandbox.mine, sandbox.rivals)
        told = [answer for has in (made, sandbox.rivals) for answer in refusals(sandbox, has)]
        structlog.get_logger("test").warning("canary", authorization=f"Bearer {made['scim_token']}")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
        structlog.reset_defaults()
    written = logs.getvalue()
    assert "canary" in written
    assert seen(written, secrets) == []
    assert [name for text in told for name in seen(text, secrets)] == []


def refusals(sandbox: Estate, has: Belongings) -> list[str]:
    """Let everything be asked with a credential that does not fit, and with secrets where none belongs."""
    strange = {"Authorization": basic(has["client"], has["erp_client_secret"])}
    token = {"Authorization": f"Bearer {has['task_token']}"}
    wrong = (strange, token, {"Authorization": f"Bearer {has['scim_token']} x"})
    asked = [one.filled(sandbox.mine) for one in GUARDED]
    texts = [sandbox.http.open(**each, headers=headers).text for each in asked for headers in wrong]
    url = "/t/acme/oauth/token"
    form = {"grant_type": has["client_secret"], "scope": has["scim_token"], "resource": has["task_token"]}
    mine = {"Authorization": basic(sandbox.mine["client"], sandbox.mine["client_secret"])}
    texts.append(sandbox.http.post(url, data=form, headers=mine).text)
    texts.append(sandbox.http.post(url, data={"grant_type": "client_credentials", "scope": "\0"}, headers=mine).text)
    return texts
