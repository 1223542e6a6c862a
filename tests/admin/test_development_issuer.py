"""A connection that trusts the development issuer: made under `identity dev`, and nowhere else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from cli.main import main
from config.isolation import isolation_is_proved
from config.settings import load_settings
from identity.edge.runtime import Runtime, utc_now
from identity.model.connection import DEVELOPMENT_ISSUER
from identity.model.errors import Unavailable
from identity.store import trust
from identity.store.transaction import make_engine
from server.readiness import Readiness, refuse_development_issuer
from tests.admin.conftest import Admin
from tests.admin.test_connections import UPSTREAM
from tests.house.sources import ROOT

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
OF_DEVELOPMENT = {**UPSTREAM, "issuer": DEVELOPMENT_ISSUER}
SPELLINGS = (
    DEVELOPMENT_ISSUER,
    f"{DEVELOPMENT_ISSUER}/",
    f"{DEVELOPMENT_ISSUER}/x",
    f"{DEVELOPMENT_ISSUER}:443",
    f"{DEVELOPMENT_ISSUER}.",
    DEVELOPMENT_ISSUER.replace("development", "Development"),
)


@pytest.fixture
def development(runtime: Runtime) -> None:
    """The installation is one of `identity dev`."""
    object.__setattr__(runtime, "allow_development_issuer", True)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.mark.parametrize("issuer", SPELLINGS)
def test_it_is_trusted_under_identity_dev_alone(acme: Admin, issuer: str) -> None:
    refused = acme.post("/connections", {**UPSTREAM, "issuer": issuer}, 400)
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("development_issuer", "/issuer")
    assert acme.get("/connections")["items"] == []


@pytest.mark.parametrize("issuer", SPELLINGS[1:])
def test_it_has_one_spelling(acme: Admin, development: None, issuer: str) -> None:
    assert acme.post("/connections", {**UPSTREAM, "issuer": issuer}, 400)["code"] == "development_issuer"
    assert acme.post("/connections", OF_DEVELOPMENT)["issuer"] == DEVELOPMENT_ISSUER


def test_a_server_that_does_not_allow_it_names_the_tenants_that_trust_it_and_the_cure(
    acme: Admin, rival: Admin, development: None, engine: Engine, database_url: str
) -> None:
    acme.post("/connections", OF_DEVELOPMENT)
    rival.post("/connections", UPSTREAM)
    with pytest.raises(Unavailable, match=r"developer's folder: acme\. .*: identity dev distrust") as refused:
        isolation_is_proved(load_settings(database_url=database_url))
    assert "rival" not in refused.value.detail
    assert isolation_is_proved(load_settings(database_url=database_url, allow_development_issuer=True))


def test_many_tenants_are_looked_at_page_by_page_and_few_are_named(
    platform: Admin, development: None, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "PAGE", 3)
    for number in range(10):
        platform.post("/tenants", {"slug": f"t-{number}", "display_name": "T"})
        if number not in (0, 5):
            Admin(platform.http, f"t-{number}").post("/connections", OF_DEVELOPMENT)
    with pytest.raises(Unavailable, match=r"folder: t-1, t-2, t-3, t-4, t-6 and 3 more\."):
        refuse_development_issuer(engine)


def test_a_connection_that_has_ended_trusts_nobody(acme: Admin, development: None, engine: Engine) -> None:
    made = acme.post("/connections", OF_DEVELOPMENT)
    acme.delete(f"/connections/{made['id']}")
    refuse_development_issuer(engine)


def test_a_web_process_that_does_not_allow_it_is_not_ready_and_serves_nothing(
    acme: Admin, development: None, engine: Engine
) -> None:
    made = acme.post("/connections", OF_DEVELOPMENT)
    readiness = Readiness(engine, utc_now)
    assert readiness.look().fault == "development_issuer"
    assert not readiness.is_isolated
    assert Readiness(engine, utc_now, allow_development_issuer=True).look().fault is None
    acme.delete(f"/connections/{made['id']}")
    assert readiness.look().fault is None
    assert readiness.is_isolated


def distrust(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["dev", "distrust", *arguments], env={"IDENTITY_DATABASE_URL": url})


def test_one_command_ends_every_such_connection_and_no_other(
    acme: Admin, rival: Admin, development: None, engine: Engine, database_url: str
) -> None:
    for tenant in (acme, rival):
        tenant.post("/connections", OF_DEVELOPMENT)
        tenant.post("/connections", UPSTREAM)
    assert json.loads(distrust(database_url, "--json").stdout) == {"tenants": ["acme", "rival"]}
    refuse_development_issuer(engine)
    for tenant in (acme, rival):
        live = {one["issuer"] for one in tenant.get("/connections")["items"] if one["ended_at"] is None}
        assert live == {UPSTREAM["issuer"]}
        [ended] = tenant.events(type="connection.ended")
        assert ended["caller"] == {**ended["caller"], "kind": "administrator", "id": "identity dev distrust"}
    again = distrust(database_url)
    assert (again.exit_code, again.stdout) == (0, "No tenant trusts the development issuer.\n")


def test_identity_serve_ends_before_it_listens(acme: Admin, development: None, database_url: str) -> None:
    acme.post("/connections", OF_DEVELOPMENT)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    served = subprocess.run(
        [sys.executable, "-m", "cli", "serve"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env=clean | {"IDENTITY_DATABASE_URL": database_url, "IDENTITY_KEY_ENCRYPTION_KEY": KEY},
    )  # fmt: skip
    assert (served.returncode, served.stdout) == (1, "")
    [said] = served.stderr.splitlines()
    assert said.startswith("Error: these tenants trust the development issuer")
    assert said.endswith(": acme. End those connections: identity dev distrust")
