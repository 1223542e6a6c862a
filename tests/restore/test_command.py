"""`identity restored` by itself: what it takes, and what it says."""

import base64
import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from identity.actions.connections import create_scim_connection
from identity.actions.events import list_events
from identity.actions.tenants import create_tenant, list_tenants
from identity.model.connection import Dialect
from identity.model.ids import TenantId
from identity.model.tenant import Tenant
from identity.store import Tx
from identity.store.transaction import make_engine, transaction
from tests.fixtures import ADMINISTRATOR, BEGIN
from tests.restore.sowing import SEAL

KEY = base64.b64encode(bytes(32)).decode()
POINT = "2026-11-24T10:00:00+01:00"


@pytest.fixture
def tenants(database_url: str) -> list[TenantId]:
    """More than one page would hold, if pages were that small; each with a source."""
    engine, made = make_engine(database_url), [TenantId(uuid4()) for _ in range(5)]
    for number, tenant in enumerate(made):
        with transaction(engine, tenant) as tx:
            named = {"slug": f"t-{number}", "display_name": "T", "encryption": SEAL}
            create_tenant(tx, **named, caller=ADMINISTRATOR, now=BEGIN)
            token = f"idf_scim_{uuid4().hex}"
            create_scim_connection(
                tx, name=f"people of {number}", dialect=Dialect.ENTRA, token=token, caller=ADMINISTRATOR, now=BEGIN
            )
    engine.dispose()
    return made


def run(url: str, *arguments: str, key: str = KEY) -> Result:
    environment = {"IDENTITY_DATABASE_URL": url, "IDENTITY_KEY_ENCRYPTION_KEY": key}
    return CliRunner().invoke(main, ["restored", *arguments], env=environment)


def test_it_says_in_sentences_what_was_done_and_what_is_left_to_do(database_url: str, tenants: list[TenantId]) -> None:
    said = run(database_url, "--at", POINT)
    assert said.exit_code == 0
    for number in range(len(tenants)):
        assert f"t-{number}  restored to 2026-11-24T09:00:00Z; cut off at " in said.output
        assert f"full cycle of people of {number} (entra, " in said.output
    assert "never heard" in said.output
    assert "who left since then is active here" in said.output
    assert "that was done before" in run(database_url, "--at", POINT).output


def test_ended_half_way_it_goes_on_where_it_was(
    database_url: str, tenants: list[TenantId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.restored.PAGE", 2)
    with monkeypatch.context() as broken:
        broken.setattr("cli.restored.list_tenants", _fails_at_the_second_page())
        assert run(database_url, "--at", POINT).exit_code == 1
    done = json.loads(run(database_url, "--at", POINT, "--json").output)
    assert sorted(each["is_new"] for each in done["tenants"]) == [False, False, True, True, True]
    engine = make_engine(database_url)
    for tenant in tenants:
        with transaction(engine, tenant) as tx:
            assert len(list_events(tx, type="tenant.restored", limit=10)) == 1
    engine.dispose()


def _fails_at_the_second_page() -> Callable[..., list[Tenant]]:
    def fail(tx: Tx, *, after: UUID | None, limit: int) -> list[Tenant]:
        if after is not None:
            raise RuntimeError
        return list_tenants(tx, after=after, limit=limit)

    return fail


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("yesterday", "is no timestamp"),
        ("2026-11-24T10:00:00", "does not say its offset"),
        ("2999-01-01T00:00:00Z", "is in the future"),
        ("", "is no timestamp"),
    ],
)
def test_a_point_that_is_none_is_refused_and_nothing_is_done(database_url: str, at: str, said: str) -> None:
    refused = run(database_url, "--at", at)
    assert refused.exit_code == 2
    assert said in refused.output


def test_without_the_key_that_seals_keys_nothing_is_done(database_url: str, tenants: list[TenantId]) -> None:
    refused = run(database_url, key="")
    assert (refused.exit_code, "IDENTITY_KEY_ENCRYPTION_KEY is not set" in refused.output) == (1, True)
    assert all(each["is_new"] for each in json.loads(run(database_url, "--json").output)["tenants"])
    del tenants


def test_the_owner_s_login_is_refused(owner_url: str) -> None:
    refused = run(owner_url)
    assert (refused.exit_code, "the tenants are not isolated" in refused.output) == (1, True)


def test_where_there_is_no_tenant_it_says_so(database_url: str) -> None:
    assert run(database_url).output == "There is no tenant: nothing was restored.\n"
