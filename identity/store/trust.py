"""The tenants that trust an upstream issuer, looked up once before anything is served."""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection, Engine, select, text

from identity.model.ids import PLATFORM
from identity.store.tables import tenants
from identity.store.transaction import untenanted

PAGE = 1000

# One round trip for a page of tenants, each looked at as row-level security lets its own transactions look.
LOOK = """
DO $$
DECLARE
    looked_at uuid;
BEGIN
    FOREACH looked_at IN ARRAY current_setting('app.page')::uuid[] LOOP
        PERFORM set_config('app.tenant', looked_at::text, true);
        PERFORM FROM connections c
          WHERE c.tenant_id = looked_at AND c.kind = 'oidc' AND c.ended_at IS NULL
            AND c.issuer = current_setting('app.issuer');
        IF FOUND THEN
            PERFORM set_config('app.trusting', concat_ws(' ', current_setting('app.trusting'), looked_at), true);
        END IF;
    END LOOP;
END $$"""

SETTINGS = text(
    "SELECT set_config('app.tenant', :platform, true), set_config('app.page', :page, true),"
    " set_config('app.issuer', :issuer, true), set_config('app.trusting', '', true)"
)
FOUND = text("SELECT current_setting('app.trusting')")


def tenants_trusting(engine: Engine, issuer: str) -> list[str]:
    """Return the slugs of all tenants with a live connection that trusts ``issuer``.

    Raises ``sqlalchemy.exc.OperationalError`` without a database, ``ProgrammingError`` before the first migration.
    """
    with untenanted(engine) as connection:
        return [slug for page in _pages(connection) for slug in _trusting(connection, page, issuer)]


def _pages(connection: Connection) -> Iterator[dict[str, str]]:
    """Yield all tenants, as slugs by id."""
    after: UUID = PLATFORM
    while True:
        statement = select(tenants.c.tenant_id, tenants.c.slug).where(tenants.c.tenant_id > after)
        rows = connection.execute(statement.order_by(tenants.c.tenant_id).limit(PAGE)).all()
        yield {str(row.tenant_id): row.slug for row in rows}
        if len(rows) < PAGE:
            return
        after = rows[-1].tenant_id


def _trusting(connection: Connection, page: dict[str, str], issuer: str) -> list[str]:
    parameters = {"platform": str(PLATFORM), "page": f"{{{','.join(page)}}}", "issuer": issuer}
    connection.execute(SETTINGS, parameters)
    connection.exec_driver_sql(LOOK)
    found: str = connection.execute(FOUND).scalar_one()
    return [page[tenant_id] for tenant_id in found.split()]
