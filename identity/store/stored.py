"""Principals as lists read them: what is shown of each, as it is stored."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, cast, select

from identity.model.principal import Kind, ListItem, kind_of
from identity.store.named_beside import (
    GROUPS_SHOWN_MAX,
    MEMBERS_SHOWN_MAX,
    OWNERS_SHOWN_MAX,
    check_number,
    named_beside,
)
from identity.store.principals import KINDS_KEPT_MAX
from identity.store.tables import principals


@lru_cache(KINDS_KEPT_MAX)
def stored_of(kinds: tuple[Kind, ...], with_members: bool) -> Select[Any]:
    """Return what selects the fields of ``ListItem``, in their order."""
    return select(
        cast(principals.c.id, Text).label("id"),
        principals.c.kind,
        principals.c.state,
        principals.c.document,
        principals.c.version,
        principals.c.created_at,
        principals.c.updated_at,
        *named_beside(kinds, with_members),
    )


STORED = len(ListItem._fields)


def stored_from(row: Any) -> ListItem:
    """Return what is in a row that begins with ``stored_of``. Raises ``LimitExceeded``."""
    found = ListItem(row[0], kind_of(row[1]), *row[2:STORED])
    if found.groups and len(found.groups) > GROUPS_SHOWN_MAX:
        found = found._replace(groups=found.groups[:GROUPS_SHOWN_MAX])
    check_number(found.members, MEMBERS_SHOWN_MAX)
    check_number(found.owners, OWNERS_SHOWN_MAX)
    return found
