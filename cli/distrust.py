"""``identity dev distrust``: end every connection that trusts the development issuer, without a running server."""

import secrets
from datetime import UTC, datetime

from sqlalchemy import Engine

from cli.output import answer
from config.database import engine_for_once
from config.settings import load_settings
from identity.actions.connections import end_development_connection
from identity.actions.tenants import resolve_tenant
from identity.model.access import Caller, CallerKind
from identity.model.connection import DEVELOPMENT_ISSUER
from identity.model.ids import PLATFORM
from identity.store.isolation import check_isolation
from identity.store.transaction import check_role, transaction
from identity.store.trust import tenants_trusting


def end_development_connections() -> None:
    """End them, each in its tenant's own transaction, and say which tenants had one."""
    with engine_for_once(load_settings()) as engine:
        check_role(engine)
        check_isolation(engine)
        slugs = tenants_trusting(engine, DEVELOPMENT_ISSUER)
        for slug in slugs:
            _end(engine, slug)
    words = [f"{slug}: the connection that trusts the development issuer has ended" for slug in slugs]
    answer({"tenants": slugs}, "\n".join(words or ["No tenant trusts the development issuer."]))


def _end(engine: Engine, slug: str) -> None:
    caller = Caller(CallerKind.ADMINISTRATOR, "identity dev distrust", secrets.token_hex(16))
    with transaction(engine, PLATFORM) as tx:
        tenant = resolve_tenant(tx, slug)
    with transaction(engine, tenant.id) as tx:
        end_development_connection(tx, caller=caller, now=datetime.now(UTC))
