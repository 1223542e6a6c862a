"""Two tenants in a cluster of their own, on a clock that is right and is moved by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from config.settings import load_settings
from dev.postgres import Cluster
from identity.actions.sealing import Seal
from tests.world import Clock, Planted, World, make_house, plant, serve

SEAL = Seal(bytes(32))


def sow(cluster: Cluster) -> tuple[Planted, Planted]:
    """Plant acme and rival."""
    house = make_house(cluster.url(role="identity_app"), SEAL)
    planted = plant(house.engine, "acme", SEAL), plant(house.engine, "rival", SEAL)
    house.engine.dispose()
    return planted


@contextmanager
def serving(cluster: Cluster, planted: tuple[Planted, Planted]) -> Iterator[World]:
    """Serve what a cluster holds."""
    url = cluster.url(role="identity_app")
    house = make_house(url, SEAL)
    assert isinstance(house.clock, Clock)
    house.clock.now = datetime.now(UTC)
    with serve(house, load_settings(database_url=url)) as web:
        yield web.world(house, planted)
    house.engine.dispose()
