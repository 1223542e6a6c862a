"""``identity doctor``: what is wrong with this installation, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click
from psycopg import Error as PsycopgError
from sqlalchemy.exc import SQLAlchemyError

from config.commands.output import answer, json_option
from config.database import schema_state
from config.disk import room_of
from config.settings import Settings, SettingsError, load_settings
from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM
from identity.store.isolation import check_isolation
from identity.store.outbox import outbox_backlog
from identity.store.transaction import make_engine, transaction

OLDEST_S_MAX = 60


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


def schema_is_at_head(settings: Settings) -> Finding:
    """The schema is the one that this version was written for."""
    current, head = schema_state(settings.owner_url)
    advice = "" if current == head else f"the schema is at {current}: run `identity migrate` to reach {head}"
    return Finding("schema", is_well=current == head, advice=advice)


def tenants_are_isolated(settings: Settings) -> Finding:
    """Row-level security binds the application's login, and all that it may become."""
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        check_isolation(engine)
    except Unavailable as error:
        return Finding("isolation", is_well=False, advice=error.detail)
    finally:
        engine.dispose()
    return Finding("isolation", is_well=True)


def workers_keep_up(settings: Settings) -> Finding:
    """News reaches the workers, and none of it was given up."""
    engine = make_engine(settings.database_url.get_secret_value(), role="identity_relay", pool_size=1)
    try:
        with transaction(engine, PLATFORM) as tx:
            backlog = outbox_backlog(tx, now=datetime.now(UTC))
    finally:
        engine.dispose()
    if backlog.dead:
        advice = f"{backlog.dead} rows were given up: GET /admin/v1/tenants/{{tenant}}/outbox?state=dead"
        return Finding("outbox", is_well=False, advice=advice)
    if backlog.oldest_s > OLDEST_S_MAX:
        advice = f"{backlog.waiting} rows wait, the oldest for {backlog.oldest_s:.0f} s: is a worker and a relay up?"
        return Finding("outbox", is_well=False, advice=advice)
    return Finding("outbox", is_well=True)


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
    schema_is_at_head,
    tenants_are_isolated,
    workers_keep_up,
    disk_has_room,
)


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look for what is wrong: settings, schema, isolation of tenants, the workers, the disk. Exit 1 when something
    is.
    """
    findings = list(_look(load_settings()))
    words = "\n".join(
        f"{'ok ' if found.is_well else 'NO '} {found.name}  {found.advice}".rstrip() for found in findings
    )
    answer({"findings": [asdict(found) for found in findings]}, words)
    context.exit(0 if all(found.is_well for found in findings) else 1)


def _look(settings: Settings) -> Iterator[Finding]:
    for check in CHECKS:
        try:
            yield check(settings)
        except (SQLAlchemyError, PsycopgError) as error:
            yield Finding("database", is_well=False, advice=f"does not answer: {type(error).__name__}")
            return
