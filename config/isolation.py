"""The checks before a program serves or works: the database isolates tenants from each other, grants the program its
role, and delivers announcements where the program waits for them.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import structlog

from config.database import engine_for_once
from config.settings import Settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.errors import Unavailable
from identity.store import Engine
from identity.store.errors import OperationalError, ProgrammingError, SQLAlchemyError
from identity.store.isolation import check_isolation
from identity.store.notices import connection_string, is_heard
from identity.store.session import Role
from identity.store.transaction import check_role
from server.failures import is_login_refused, sentence_of
from server.key_check import WRONG_KEY, look_at_keys
from server.readiness import refuse_development_issuer
from server.schema import Schema, schema_of

PAUSE_S = 1.0
HEARD_WITHIN_S = 3.0  # an announcement takes milliseconds

log = structlog.get_logger(__name__)


def refuse_unisolated(
    settings: Settings,
    stopped: Callable[[], bool] = lambda: False,
    *,
    role: Role = "identity_app",
    listens: bool = False,
) -> None:
    """Wait until the database answers and is migrated, or ``stopped``.

    To wait for anything else is of no use. Raises ``Unavailable``, which names every fault of the login, or says that
    ``role`` is not granted, that no announcement arrives, or that only a later version can serve on the schema. Raises
    the driver's own error when the database refuses the login or does not exist.
    """
    with engine_for_once(settings, role=role) as engine:
        while not stopped() and not _is_checked(settings, engine, listens=listens):
            time.sleep(PAUSE_S)


def _is_checked(settings: Settings, engine: Engine, *, listens: bool = False, serves: bool = False) -> bool:
    """Return False where another try may succeed."""
    try:
        check_role(engine)
        check_isolation(engine)
        if not _is_served(schema_of(engine)):
            return False
        if listens:
            check_hearing(settings, engine)
        if serves and not settings.allow_development_issuer:
            refuse_development_issuer(engine)
    except (OperationalError, psycopg.OperationalError) as error:
        if is_login_refused(error):
            raise
        log.warning("database_does_not_answer", detail=sentence_of(error))
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


def _is_served(schema: Schema) -> bool:
    """Return whether this version can serve on a schema. Raises ``Unavailable`` where only a later version can."""
    if schema.fault is None:
        return True
    if schema.is_ahead:
        raise Unavailable(f"the schema does not fit: {schema.fault}", reason="schema")
    log.warning("database_is_not_migrated", detail=schema.fault)
    return False


def check_hearing(settings: Settings, engine: Engine) -> None:
    """Send an announcement and listen. Raises ``Unavailable`` when it does not arrive."""
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


def refuse_wrong_key(settings: Settings) -> None:
    """Raises ``Unavailable`` when the key decrypts nothing. Without an answer of the database, no key is wrong."""
    try:
        with engine_for_once(settings) as engine:
            found = look_at_keys(engine, EnvelopeEncryption(settings.key_encryption_key_bytes), datetime.now(UTC))
    except (SQLAlchemyError, Unavailable):
        return
    if found.is_wrong_key:
        raise Unavailable(WRONG_KEY, reason="wrong_key_encryption_key")
