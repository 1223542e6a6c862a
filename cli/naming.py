"""Names in place of ids: the id of a name, the candidates of an ambiguous one, suggestions for an unknown one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import click

from cli.output import is_json
from cli.problems import CONFLICT, NOT_FOUND, Refused, close_names, hint, printable
from cli.remote import Remote

CANDIDATES_MAX = 20
Columns = Mapping[str, Sequence[str]]
"""Columns of a table, each with the members that hold the ids of the principals whose names it shows."""

LOOKED_THROUGH_MAX = 200
"""The number of names that one request reads to find suggestions."""

NOUNS = {"user": "user", "group": "group", "agent": "agent", "service_account": "service account"}


def principal_id(remote: Remote, tenant: str, named: str, kind: str | None = None) -> str:
    """Return the id of the principal that ``named`` names: an id, or the one name of its kind."""
    if (id_ := id_in(named)) is not None:
        return id_
    path, noun = f"/tenants/{tenant}/principals", NOUNS.get(kind or "", kind or "user, group, agent or service account")
    found = remote.get(path, kind=kind, name=named, limit=CANDIDATES_MAX)["items"]
    if not found:
        raise _unknown(noun, named, tenant, _names(remote, path, kind=kind))
    return _the_one(noun, named, found, ("kind", "state", "display_name"))


def connection_id(remote: Remote, tenant: str, named: str) -> str:
    """Return the id of the connection that ``named`` names: an id, or a name; one that has not ended comes first."""
    if (id_ := id_in(named)) is not None:
        return id_
    path = f"/tenants/{tenant}/connections"
    found = remote.get(path, name=named, limit=LOOKED_THROUGH_MAX)["items"]
    if not found:
        raise _unknown("connection", named, tenant, _names(remote, path))
    live = [each for each in found if each["ended_at"] is None]
    return _the_one("connection", named, live or found, ("kind", "created_at", "ended_at"))


class Named(click.ParamType[str]):
    """A name or an id. ``find`` returns the id; ``with_ids`` calls it, since a command line knows no tenant."""

    name = "text"

    def __init__(self, find: Callable[[Remote, str, str], str]) -> None:
        self.find = find


PRINCIPAL = Named(principal_id)
USER, GROUP = (Named(partial(principal_id, kind=kind)) for kind in ("user", "group"))
CONNECTION = Named(connection_id)


def with_ids(remote: Remote, tenant: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the present command's options, with ids in place of names.

    An option that may be repeated, and is not given, has the value None.
    """
    found = {name: None if value == () else value for name, value in values.items()}
    for parameter in click.get_current_context().command.params:
        named = found.get(parameter.name or "")
        if isinstance(parameter.type, Named) and isinstance(named, str):
            found[parameter.name or ""] = parameter.type.find(remote, tenant, named)
    return found


def id_in(named: str) -> str | None:
    """Return the id that was given, or None where it is a name."""
    try:
        return str(UUID(named))
    except ValueError:
        return None


def names_of(remote: Remote, tenant: str, ids: Iterable[str | None]) -> dict[str, str]:
    """Return the names of principals by id; deleted ones are left out."""
    wanted = sorted({id_ for id_ in ids if id_ is not None})
    names: dict[str, str] = {}
    for start in range(0, len(wanted), LOOKED_THROUGH_MAX):
        some = wanted[start : start + LOOKED_THROUGH_MAX]
        page = remote.get(f"/tenants/{tenant}/principals", ids=",".join(some), limit=LOOKED_THROUGH_MAX)
        names |= {each["id"]: str(each["name"]) for each in page["items"]}
    return names


def with_names(
    remote: Remote, tenant: str, pages: Iterable[Mapping[str, Any]], columns: Columns
) -> Iterator[dict[str, Any]]:
    """Yield the pages with the names of principals. ``columns`` holds each column and the members whose ids it shows.

    With ``--json`` pages stay as they are, and no request is sent.
    """
    for page in pages:
        if is_json():
            yield dict(page)
            continue
        members = [member for group in columns.values() for member in group]
        names = names_of(remote, tenant, (id_ for item in page["items"] for id_ in _ids(item, members)))
        shown = ({column: [names.get(id_, id_) for id_ in _ids(item, group)] for column, group in columns.items()}
                 for item in page["items"])  # fmt: skip
        yield {**page, "items": [{**item, **added} for item, added in zip(page["items"], shown, strict=True)]}


def with_names_in(remote: Remote, tenant: str, document: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return one document with the names of the principals in it, as ``with_names`` does for pages."""
    [page] = with_names(remote, tenant, [{"items": [document]}], columns)
    shown: dict[str, Any] = page["items"][0]
    return shown


def _ids(item: Mapping[str, Any], members: Iterable[str]) -> Iterator[str]:
    for member in members:
        value = item.get(member)
        yield from value if isinstance(value, list) else [] if value is None else [value]


def _names(remote: Remote, path: str, **query: str | None) -> list[str]:
    return [str(each["name"]) for each in remote.get(path, limit=LOOKED_THROUGH_MAX, **query)["items"]]


def _unknown(noun: str, named: str, tenant: str, names: Iterable[str]) -> Refused:
    close = close_names(named, {name.casefold(): name for name in names})
    words = printable(f"there is no {noun} called {named!r} in {tenant}{hint(close)}")
    return Refused(words, NOT_FOUND, code="unknown_name", suggestions=close or None)


def _the_one(noun: str, named: str, found: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> str:
    if len(found) == 1:
        return str(found[0]["id"])
    candidates = [{name: each[name] for name in ("id", *shown)} for each in found]
    lines = ["  " + "  ".join(printable(value) for value in each.values() if value is not None) for each in candidates]
    words = "\n".join([printable(f"more than one {noun} is called {named!r}; give the id:"), *lines])
    raise Refused(words, CONFLICT, code="ambiguous_name", candidates=candidates)
