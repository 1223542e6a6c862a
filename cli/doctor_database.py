"""The checks of the database by `identity doctor`."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import psycopg
from sqlalchemy import Engine

from cli.disk import room_of
from cli.finding import Finding, ill, well
from config.database import database_address, engine_for_once
from config.isolation import check_hearing
from config.settings import Settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.errors import Unavailable
from identity.store.clock import CLOCK_OFF_S_MAX, clock_ahead_by
from identity.store.isolation import check_isolation
from identity.store.notices import connection_string
from identity.store.session import Role
from identity.store.transaction import check_role, untenanted
from server.key_check import WRONG_KEY, look_at_keys
from server.schema import head_revision, schema_found


def database_answers(settings: Settings) -> Finding:
    """The database accepts the application's login."""
    url = settings.database_url.get_secret_value()
    psycopg.connect(connection_string(url)).close()
    return well("database", database_address(url))


def schema_fits(settings: Settings) -> Finding:
    """The schema is the one that this version was written for, or a later one that serves it still."""
    schema = schema_found(settings.owner_url)
    if schema.fault is not None and schema.is_ahead:
        return ill("schema", f"the schema does not fit: {schema.fault}")
    if schema.is_ahead:
        return well("schema", f"at {schema.revision}, later than this version, which it serves still")
    if schema.is_at_head:
        return well("schema")
    return ill("schema", f"the schema is at {schema.revision}: run `identity migrate` to reach {head_revision()}")


def schema_is_served(settings: Settings) -> bool:
    """Return whether this version works with the schema."""
    return schema_found(settings.owner_url).fault is None


def roles_are_had(settings: Settings) -> Finding:
    """The login becomes both roles: that of web and workers, and that of the relay."""
    roles: tuple[Role, ...] = ("identity_app", "identity_relay")
    found = [_unrefused("role", settings, check_role, role=role) for role in roles]
    return next((each for each in found if not each.is_well), found[0])


def tenants_are_isolated(settings: Settings) -> Finding:
    """Row-level security binds the application's login, and all that it may become."""
    return _unrefused("isolation", settings, check_isolation)


def announcements_are_heard(settings: Settings) -> Finding:
    """A program that listens hears what a transaction announces."""
    return _unrefused("listen", settings, partial(check_hearing, settings), role="identity_relay")


def _unrefused(
    name: str, settings: Settings, check: Callable[[Engine], None], *, role: Role = "identity_app"
) -> Finding:
    with engine_for_once(settings, role=role) as engine:
        try:
            check(engine)
        except Unavailable as error:
            return ill(name, error.detail)
    return well(name)


def clocks_agree(settings: Settings) -> Finding:
    """This machine's clock is that of the database, within a second."""
    with engine_for_once(settings) as engine, untenanted(engine) as connection:
        ahead_s = clock_ahead_by(connection, lambda: datetime.now(UTC)).total_seconds()
    if abs(ahead_s) <= CLOCK_OFF_S_MAX:
        return well("clock")
    how = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the database's"
    return ill("clock", f"this machine's clock is {how}: tokens go by it; set both by NTP")


def keys_are_opened(settings: Settings) -> Finding:
    """The key-encryption key opens signing keys of the oldest tenants and of the newest ones."""
    if settings.key_encryption_key is None:
        return ill("keys", "IDENTITY_KEY_ENCRYPTION_KEY is not set: set the key that sealed the signing keys")
    with engine_for_once(settings) as engine:
        found = look_at_keys(engine, EnvelopeEncryption(settings.key_encryption_key_bytes), datetime.now(UTC))
    if found.is_wrong_key:
        return ill("keys", WRONG_KEY)
    if found.refused:
        return ill(
            "keys", f"{found.refused} of {found.opened + found.refused} signing keys were not opened. {WRONG_KEY}"
        )
    return well("keys", "" if found.opened else "there is no signing key yet")


def disk_has_room(settings: Settings) -> Finding:
    """The disk of a database on this machine is not nearly full."""
    room = room_of(settings.database_url.get_secret_value())
    if room is None:
        return well("disk", "the database's disk cannot be seen from here: watch it where it is")
    if room.is_little:
        free = f"{room.free // 1_000_000} MB of {room.total // 1_000_000} MB are free in {room.folder}"
        return ill("disk", f"{free}: make room, or give PostgreSQL a larger disk")
    return well("disk")
