"""No program of an installation serves or works before the database says that it isolates tenants from each other."""

import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from identity.store.isolation import check_isolation
from identity.store.transaction import make_engine

PAUSE_S = 1.0

log = structlog.get_logger(__name__)


def refuse_unisolated(settings: Settings, stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait until the database answers or ``stopped``. Raises ``Unavailable``, which names every fault of the login."""
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        while not stopped():
            try:
                return check_isolation(engine)
            except OperationalError as error:
                log.warning("database_does_not_answer", error=type(error.orig).__name__)
                time.sleep(PAUSE_S)
    finally:
        engine.dispose()


def isolation_is_proved(settings: Settings) -> bool:
    """Return False when the database does not answer. Raises ``Unavailable``, which names every fault of the login."""
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        check_isolation(engine)
    except OperationalError as error:
        log.warning("database_does_not_answer", error=type(error.orig).__name__)
        return False
    finally:
        engine.dispose()
    return True
