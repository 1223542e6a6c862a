"""Two tenants and a source of the first; whatever a test does there, the second must not notice."""

from collections.abc import Iterator

import pytest

from tests.actions.sources import OPEN, Source, connect, digest, forget_news, onlooker
from tests.fixtures import Tenant
from tests.oauth.conftest import acme, rival, template_db, two_tenants  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def the_rival_notices_nothing(acme: Tenant, rival: Tenant) -> Iterator[None]:  # noqa: F811
    """Both tenants hold the same ids, so a statement that forgets its tenant would find something here."""
    with onlooker(acme) as ours, onlooker(rival) as theirs:
        OPEN.update({(acme.runtime.engine, acme.seeded.id): ours, (rival.runtime.engine, rival.seeded.id): theirs})
        for tenant in (acme, rival):
            forget_news(tenant)  # of the planting
        before = digest(rival)
        yield
        assert digest(rival) == before
        OPEN.clear()


@pytest.fixture
def source(acme: Tenant) -> Source:  # noqa: F811
    """A source that has pushed nothing yet."""
    return connect(acme)


@pytest.fixture
def other(acme: Tenant) -> Source:  # noqa: F811
    """Another source of the same tenant."""
    return connect(acme, "other")
