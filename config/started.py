"""The log line of a start: program, version and address, database and broker, and the number of tenants."""

from importlib.metadata import version

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.database import broker_address, database_address, engine_for_once
from config.settings import Settings
from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM
from identity.store.session import Role
from identity.store.tenants import tenant_ids
from identity.store.transaction import transaction

COUNTED_MAX = 1_000

log = structlog.get_logger(__name__)


def log_start(settings: Settings, program: str, *, role: Role = "identity_app", address: str | None = None) -> None:
    """Log the start of a program, without login and password. A database that does not answer has no known tenants."""
    where = {} if address is None else {"address": address, "external_url": settings.external_url}
    log.info(
        "started",
        program=program,
        version=version("identity-foundation"),
        **where,
        database=database_address(settings.database_url.get_secret_value()),
        role=role,
        tenants=tenants_counted(settings),
        broker=broker_address(settings),
    )


def tenants_counted(settings: Settings) -> int | str | None:
    """Return how many tenants there are, as a text beyond ``COUNTED_MAX``; None without an answer."""
    try:
        with engine_for_once(settings) as engine, transaction(engine, PLATFORM) as tx:
            found = len(tenant_ids(tx, limit=COUNTED_MAX + 1))
    except (SQLAlchemyError, Unavailable):
        return None
    return found if found <= COUNTED_MAX else f"more than {COUNTED_MAX}"
