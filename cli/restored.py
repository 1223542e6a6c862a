"""``identity restored``: after the database was restored to a point in time, before traffic is let in."""

import secrets
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import click
from sqlalchemy import Engine

from cli.output import answer, json_option
from config.database import engine_of
from config.isolation import refuse_wrong_key
from config.settings import load_settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.restoration import restore_tenant
from identity.actions.tenants import list_tenants
from identity.model.access import Caller, CallerKind
from identity.model.ids import PLATFORM
from identity.model.restoration import RestoredTenant
from identity.model.tenant import Tenant
from identity.store.isolation import check_isolation
from identity.store.transaction import check_role, transaction
from server.process import name_sessions

PAGE = 500

BEFORE_TRAFFIC = (
    "Let each source that is named run a full provisioning cycle, and let the workers run: who left since then is "
    "active here until that is done.",
    "What administrators ended since then is in force again: connection tokens, clients and their secrets, "
    "delegations, tasks, links of subjects, people who were suspended. End it again; a copy of the audit log says what "
    "it was.",
    "Tenants, connections, clients and tokens that were made since then are gone: make them again.",
)


class Instant(click.ParamType[datetime]):
    """An instant with its offset from UTC, not in the future."""

    name = "timestamp"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant."""
        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no timestamp: 2026-11-30T10:00:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"{value!r} does not say its offset: 2026-11-30T10:00:00Z", param, ctx)
        if instant > datetime.now(UTC):
            self.fail(f"{value!r} is in the future", param, ctx)
        return instant.astimezone(UTC)


@click.command()
@click.option("--at", type=Instant(), help="The point to which the database was restored; else its last event.")
@click.option("--key-lost", is_flag=True, help="IDENTITY_KEY_ENCRYPTION_KEY is a new one: the old one was lost.")
@json_option
def restored(at: datetime | None, *, key_lost: bool) -> None:
    """End all that was issued before the database was restored, in every tenant, and say who must send everything
    again. Run it before traffic is let in; a second time with the same --at it does nothing.
    """
    name_sessions("restored")
    settings = load_settings()
    encryption = EnvelopeEncryption(settings.key_encryption_key_bytes)
    engine = engine_of(settings)
    try:
        check_role(engine)
        check_isolation(engine)
        if not key_lost:
            refuse_wrong_key(settings)  # new signing keys would be sealed with it
        point = datetime.now(UTC) if key_lost and at is None else at  # so that every tenant gets a new key
        done = [_restore(engine, tenant, point, encryption) for tenant in _tenants(engine)]
    finally:
        engine.dispose()
    traffic_from = max((each.cut_off for each in done), default=None)
    document = {
        "tenants": [asdict(each) for each in done],
        "traffic_from": traffic_from,
        "before_traffic": BEFORE_TRAFFIC,
    }
    answer(document, "\n".join(_words(done, traffic_from)))


def _tenants(engine: Engine) -> Iterator[Tenant]:
    after = None
    while True:
        with transaction(engine, PLATFORM) as tx:
            page = list_tenants(tx, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def _restore(engine: Engine, tenant: Tenant, at: datetime | None, encryption: EnvelopeEncryption) -> RestoredTenant:
    caller = Caller(CallerKind.ADMINISTRATOR, "identity restored", secrets.token_hex(16))
    with transaction(engine, tenant.id) as tx:
        return restore_tenant(tx, tenant, restored_to=at, encryption=encryption, caller=caller, now=datetime.now(UTC))


def _words(done: list[RestoredTenant], traffic_from: datetime | None) -> Iterator[str]:
    if traffic_from is None:
        yield "There is no tenant: nothing was restored."
        return
    for each in done:
        did = "everything issued until then is dead" if each.is_new else "that was done before"
        yield f"{each.slug}  restored to {_time(each.restored_to)}; cut off at {_time(each.cut_off)}: {did}"
        for source in each.sources:
            heard = "never heard" if source.last_heard_at is None else f"last heard {_time(source.last_heard_at)}"
            yield f"    full cycle of {source.name} ({source.dialect}, {source.id}), {heard}"
    yield f"\nBefore traffic is let in, at {_time(traffic_from)} or later:"
    yield from (f"  {number}. {sentence}" for number, sentence in enumerate(BEFORE_TRAFFIC, 1))


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
