"""No program of an installation serves or works before the database says that it isolates tenants from each other,
gives the program its role, and, where the program waits for announcements, lets it hear them.
"""

import secrets
import time
from collections.abc import Callable

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from config.database import engine_for_once
from config.settings import Settings
from identity.model.connection import DEVELOPMENT_ISSUER
from identity.model.errors import Unavailable
from identity.store.isolation import check_isolation
from identity.store.notices import connection_string, is_heard
from identity.store.session import Role
from identity.store.transaction import check_role
from identity.store.trust import tenants_trusting

PAUSE_S = 1.0
NAMED_MAX = 5
HEARD_WITHIN_S = 3.0  # an announcement takes milliseconds

log = structlog.get_logger(__name__)


def refuse_unisolated(
    settings: Settings,
    stopped: Callable[[], bool] = lambda: False,
    *,
    role: Role = "identity_app",
    listens: bool = False,
) -> None:
    """Wait until the database answers and has roles, or ``stopped``.

    Raises ``Unavailable``, which names every fault of the login, or says that ``role`` is not had or nothing is heard.
    """
    with engine_for_once(settings, role=role) as engine:
        while not stopped() and not _is_checked(settings, engine, listens=listens):
            time.sleep(PAUSE_S)


def _is_checked(settings: Settings, engine: Engine, *, listens: bool = False, serves: bool = False) -> bool:
    """Return False where it is worth asking again."""
    try:
        check_role(engine)
        check_isolation(engine)
        if listens:
            check_hearing(settings, engine)
        if serves and not settings.allow_development_issuer:
            refuse_development_issuer(engine)
    except (OperationalError, psycopg.OperationalError) as error:
        log.warning("database_does_not_answer", error=type(getattr(error, "orig", error)).__name__)
        return False
    except ProgrammingError:  # the roles are there, for another database, and the tables are not
        log.warning("database_is_not_migrated")
        return False
    except Unavailable as refusal:
        if refusal.reason != "role_missing":
            raise
        log.warning("database_is_not_migrated", detail=refusal.detail)
        return False
    return True


def check_hearing(settings: Settings, engine: Engine) -> None:
    """Announce something and listen to it. Raises ``Unavailable`` when it is not heard."""
    channel = f"identity_heard_{secrets.token_hex(8)}"
    if not is_heard(connection_string(settings.listen_url), engine, channel=channel, seconds=HEARD_WITHIN_S):
        raise Unavailable(
            "LISTEN hears nothing, so new work would wait: a pooler is between, or it is a standby or another database."
            " Set IDENTITY_DATABASE_LISTEN_URL to a direct connection to the database itself"
        )


def isolation_is_proved(settings: Settings) -> bool:
    """Return False when the database does not answer or was never migrated. Raises ``Unavailable`` as above, and when a
    tenant trusts the development issuer where the settings do not allow it.
    """
    with engine_for_once(settings) as engine:
        return _is_checked(settings, engine, serves=True)


def refuse_development_issuer(engine: Engine) -> None:
    """Look at every tenant. Raises ``Unavailable``, which names those that trust the development issuer, and
    SQLAlchemy's errors without a database, or before the first migration.
    """
    slugs = tenants_trusting(engine, DEVELOPMENT_ISSUER)
    if slugs:
        named = ", ".join(slugs[:NAMED_MAX]) + (f" and {len(slugs) - NAMED_MAX} more" if slugs[NAMED_MAX:] else "")
        raise Unavailable(
            f"these tenants trust the development issuer, whose key lies in a developer's folder: {named}. "
            "End those connections: identity dev distrust",
            reason="development_issuer",
        )
