"""``identity doctor``: what is wrong with this installation, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import click
from psycopg import Error as PsycopgError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cli.disk import room_of
from cli.output import answer, json_option
from config.database import engine_for_once, head_revision, schema_found
from config.isolation import check_hearing
from config.settings import Settings, SettingsError, load_settings
from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM
from identity.store import Tx
from identity.store.clock import CLOCK_OFF_S_MAX, clock_ahead_by
from identity.store.isolation import check_isolation
from identity.store.outbox import outbox_backlog, outbox_is_untaken
from identity.store.session import Role
from identity.store.transaction import check_role, transaction, untenanted

OLDEST_S_MAX = 60
UNTAKEN_S_MAX = 10

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``advice`` says what to do when it is not well."""

    name: str
    is_well: bool
    advice: str = ""


def settings_are_whole(settings: Settings) -> Finding:
    """The secrets that every process needs are set."""
    try:
        settings.key_encryption_key_bytes  # noqa: B018 - asked for its refusal
    except SettingsError as error:
        return Finding("settings", is_well=False, advice=str(error))
    if settings.admin_token_hash is None:
        return Finding("settings", is_well=False, advice="IDENTITY_ADMIN_TOKEN is not set: nobody can administer")
    return Finding("settings", is_well=True)


def schema_fits(settings: Settings) -> Finding:
    """The schema is the one that this version was written for, or a later one that serves it still."""
    schema = schema_found(settings.owner_url)
    if schema.fault is None and (schema.is_at_head or schema.is_ahead):
        later = f"at {schema.revision}, later than this version, which it serves still" if schema.is_ahead else ""
        return Finding("schema", is_well=True, advice=later)
    behind = f"at {schema.revision}: run `identity migrate` to reach {head_revision()}"
    return Finding("schema", is_well=False, advice=f"the schema is {behind if not schema.is_ahead else schema.fault}")


def roles_are_had(settings: Settings) -> Finding:
    """The login becomes both roles: that of web and workers, and that of the relay."""
    roles: tuple[Role, ...] = ("identity_app", "identity_relay")
    found = [_unrefused("role", settings, check_role, role=role) for role in roles]
    return next((each for each in found if not each.is_well), found[0])


def announcements_are_heard(settings: Settings) -> Finding:
    """Who listens hears what a transaction announces."""
    return _unrefused("listen", settings, partial(check_hearing, settings), role="identity_relay")


def tenants_are_isolated(settings: Settings) -> Finding:
    """Row-level security binds the application's login, and all that it may become."""
    return _unrefused("isolation", settings, check_isolation)


def _unrefused(
    name: str, settings: Settings, check: Callable[[Engine], None], *, role: Role = "identity_app"
) -> Finding:
    with engine_for_once(settings, role=role) as engine:
        try:
            check(engine)
        except Unavailable as error:
            return Finding(name, is_well=False, advice=error.detail)
    return Finding(name, is_well=True)


def clocks_agree(settings: Settings) -> Finding:
    """This machine's clock is that of the database, within a second."""
    with engine_for_once(settings) as engine, untenanted(engine) as connection:
        ahead_s = clock_ahead_by(connection, lambda: datetime.now(UTC)).total_seconds()
    if abs(ahead_s) <= CLOCK_OFF_S_MAX:
        return Finding("clock", is_well=True)
    how = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the database's"
    return Finding("clock", is_well=False, advice=f"this machine's clock is {how}: tokens go by it; set both by NTP")


def nothing_was_given_up(settings: Settings) -> Finding:
    """No row of the outbox was tried as often as allowed, and given up."""
    dead = _of_outbox(settings, outbox_backlog).dead
    advice = f"{dead} rows were given up: GET /admin/v1/tenants/{{tenant}}/outbox?state=dead" if dead else ""
    return Finding("dead letters", is_well=not dead, advice=advice)


def workers_take_what_the_broker_has(settings: Settings) -> Finding:
    """No row was given to the broker, and taken by no worker."""
    untaken = _of_outbox(settings, partial(outbox_is_untaken, age=timedelta(seconds=UNTAKEN_S_MAX)))
    advice = (
        f"the broker has had rows for {UNTAKEN_S_MAX} s that no worker has begun: is a worker up?" if untaken else ""
    )
    return Finding("workers", is_well=not untaken, advice=advice)


def the_outbox_is_short(settings: Settings) -> Finding:
    """What follows from changes is done within a minute."""
    backlog = _of_outbox(settings, outbox_backlog)
    if backlog.oldest_s <= OLDEST_S_MAX:
        return Finding("outbox", is_well=True)
    advice = (
        f"{backlog.waiting} rows wait, the oldest for {backlog.oldest_s:.0f} s: is a relay up, and are workers enough?"
    )
    return Finding("outbox", is_well=False, advice=advice)


def _of_outbox(settings: Settings, ask: Callable[[Tx], Answer]) -> Answer:
    with engine_for_once(settings, role="identity_relay") as engine, transaction(engine, PLATFORM) as tx:
        return ask(tx)


def disk_has_room(settings: Settings) -> Finding:
    """The disk of a database on this machine is not nearly full."""
    room = room_of(settings.database_url.get_secret_value())
    if room is None:
        return Finding(
            "disk", is_well=True, advice="the database's disk cannot be seen from here: watch it where it is"
        )
    if room.is_little:
        advice = f"{room.free // 1_000_000} MB of {room.total // 1_000_000} MB are free in {room.folder}: make room"
        return Finding("disk", is_well=False, advice=advice)
    return Finding("disk", is_well=True)


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    settings_are_whole,
    schema_fits,
    roles_are_had,
    tenants_are_isolated,
    announcements_are_heard,
    clocks_agree,
    nothing_was_given_up,
    workers_take_what_the_broker_has,
    the_outbox_is_short,
    disk_has_room,
)


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look for what is wrong: settings, schema, roles, isolation of tenants, clocks, the outbox, the workers and the
    disk. Exit 1 when something is.
    """
    findings = list(_findings())
    words = "\n".join(
        f"{'ok ' if found.is_well else 'NO '} {found.name}  {found.advice}".rstrip() for found in findings
    )
    answer({"findings": [asdict(found) for found in findings]}, words)
    context.exit(0 if all(found.is_well for found in findings) else 1)


def _findings() -> Iterator[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", is_well=False, advice=str(error))
        return
    yield from _look(settings)


def _look(settings: Settings) -> Iterator[Finding]:
    for check in CHECKS:
        try:
            yield (found := check(settings))
        except (SQLAlchemyError, PsycopgError) as error:
            yield Finding("database", is_well=False, advice=f"does not answer: {type(error).__name__}")
            return
        if check is roles_are_had and not found.is_well:
            return  # nothing else can be asked
