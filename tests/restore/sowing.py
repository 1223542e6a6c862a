"""Two tenants in a cluster of their own, on a clock that is right and is moved by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from config.settings import load_settings
from dev.postgres import Cluster
from identity.actions.envelope_encryption import EnvelopeEncryption
from tests.fixtures import Clock, Seeded, TwoTenants, make_runtime, plant, serve

SEAL = EnvelopeEncryption(bytes(32))


def sow(cluster: Cluster) -> tuple[Seeded, Seeded]:
    """Plant acme and rival."""
    runtime = make_runtime(cluster.url(role="identity_app"), SEAL)
    seeded = plant(runtime.engine, "acme", SEAL), plant(runtime.engine, "rival", SEAL)
    runtime.engine.dispose()
    return seeded


@contextmanager
def serving(cluster: Cluster, seeded: tuple[Seeded, Seeded]) -> Iterator[TwoTenants]:
    """Serve what a cluster holds."""
    url = cluster.url(role="identity_app")
    runtime = make_runtime(url, SEAL)
    assert isinstance(runtime.clock, Clock)
    runtime.clock.now = datetime.now(UTC)
    with serve(runtime, load_settings(database_url=url)) as web:
        yield web.two_tenants(runtime, seeded)
    runtime.engine.dispose()
