"""The parts of every table: the tenant at the front of each key, and names of constraints by one convention."""

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Instant = DateTime(timezone=True)
EMPTY_ARRAY = text("'{}'")
TEXTS = ARRAY(Text)
IDS = ARRAY(Uuid)


def tenant_table(name: str, *items: SchemaItem, key: tuple[str, ...]) -> Table:
    """Return a table whose primary key is the tenant, then ``key``."""
    return Table(
        name, metadata, Column("tenant_id", Uuid, nullable=False), *items, PrimaryKeyConstraint("tenant_id", *key)
    )


def index_of(name: str, *columns: str) -> Index:
    """Return an index for look-ups by its last column only. Without the predicate the planner may take it for its
    tenant_id alone, to find a primary key in a small table; a prepared plan stays, and reads all that is written since.
    """
    return Index(name, *columns, postgresql_where=text(f"{columns[-1]} IS NOT NULL"))


def refers(
    columns: tuple[str, ...], table: str, key: tuple[str, ...], *, is_deleted_with: bool = False
) -> ForeignKeyConstraint:
    """Return a foreign key within one tenant; ``is_deleted_with``: the row goes when that which it names does."""
    return ForeignKeyConstraint(
        ("tenant_id", *columns),
        [f"{table}.tenant_id", *(f"{table}.{column}" for column in key)],
        ondelete="CASCADE" if is_deleted_with else None,
    )
