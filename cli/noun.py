"""The commands of one noun: ``list``, ``show``, and verbs that send one request to the admin API.

A module declares its noun and the options of each command. A command that does more has a function of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

import click

from cli.arguments import Option, after_option, id_argument, limit_option, tenant_argument
from cli.naming import Columns, with_ids, with_names, with_names_in
from cli.output import json_option
from cli.problems import option_of
from cli.remote import CLEARED, Remote, connect
from cli.showing import show_done, show_list, show_one

Values = dict[str, Any]
"""The values of a command's options, each under the name of a member of the admin API."""

Find = Callable[[Remote, str, Values], str]
"""Takes the item's name out of the values and returns its segment of the path; the text is the tenant's slug."""


@dataclass(frozen=True, slots=True)
class Item:
    """The argument that names one item of a noun, and the function that makes it a segment of a path."""

    argument: Option
    find: Find


@dataclass(frozen=True, slots=True)
class Target:
    """The path that a command sends its request to: of a collection, or of one item."""

    remote: Remote
    tenant: str
    path: str


def by_id(name: str) -> Item:
    """Return an item that is named by its id."""
    return Item(id_argument(name), lambda _remote, _tenant, values: str(values.pop(name)))


def clear(values: Values, flag: str, member: str) -> Values:
    """Return values in which the ``flag`` clears the ``member``. Raises ``click.UsageError`` where both are given."""
    if not values.pop(flag):
        return values
    if values[member] is not None:
        raise click.UsageError(f"give either {option_of(member)} or {option_of(flag)}")
    return values | {member: CLEARED}


def _unchanged(values: Values) -> Values:
    return values


class Noun(click.Group):
    """The group of commands of one collection of the admin API.

    ``columns`` are those of its table. ``names`` holds those that show principals by name (see ``with_names``).
    """

    def __init__(
        self, name: str, summary: str, path: str, columns: tuple[str, ...], item: Item | None = None,
        names: Columns | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, help=summary)
        self.path, self.columns, self.item, self.names = path, columns, item, names or {}

    def add(
        self, verb: str, summary: str, send: Callable[[Target, Values], None], *options: Option,
        of_one: bool = True, prepare: Callable[[Values], Values] = _unchanged,
    ) -> None:  # fmt: skip
        """Add a command. ``prepare`` checks and shapes the values before any request; ``send`` does the rest."""
        item = self.item if of_one else None

        def command(**given: Any) -> None:
            tenant = given.pop("tenant", "")
            prepared = prepare(given)
            remote = connect()
            values = with_ids(remote, tenant, prepared)
            path = self.path.format(tenant=tenant)
            if item is not None:
                path += f"/{item.find(remote, tenant, values)}"
            send(Target(remote, tenant, path), values)

        parameters: list[Option] = [tenant_argument] if "{tenant}" in self.path else []
        parameters += [*([] if item is None else [item.argument]), *options, json_option]
        for parameter in reversed(parameters):
            command = parameter(command)
        self.command(verb, help=summary)(command)

    def add_list(
        self, summary: str, *options: Option, is_paged: bool = True, prepare: Callable[[Values], Values] = _unchanged
    ) -> None:
        """Add ``list``; the values of the options are its query."""

        def send(target: Target, values: Values) -> None:
            remote, path = target.remote, target.path
            pages = remote.pages(path, **values) if is_paged else iter([remote.get(path)])
            show_list(with_names(remote, target.tenant, pages, self.names), *self.columns)

        paging = (limit_option, after_option) if is_paged else ()
        self.add("list", summary, send, *options, *paging, of_one=False, prepare=prepare)

    def add_show(self, summary: str, *options: Option) -> None:
        """Add ``show``."""

        def send(target: Target, _values: Values) -> None:
            found = target.remote.get(target.path)
            show_one(with_names_in(target.remote, target.tenant, found, self.names))

        self.add("show", summary, send, *options)

    def add_post(
        self, verb: str, summary: str, *options: Option, below: str = "", of_one: bool = True,
        shown_once: str | None = None, prepare: Callable[[Values], Values] = _unchanged,
    ) -> None:  # fmt: skip
        """Add a verb that posts the values to the collection or the item, or to the path ``below`` it."""

        def send(target: Target, values: Values) -> None:
            show_one(target.remote.post(target.path + below, values), shown_once=shown_once)

        self.add(verb, summary, send, *options, of_one=of_one, prepare=prepare)

    def add_patch(
        self, verb: str, summary: str, *options: Option, prepare: Callable[[Values], Values] = _unchanged
    ) -> None:
        """Add a verb that changes the members that have a value."""
        self.add(verb, summary, _patch, *options, prepare=prepare)

    def add_delete(self, verb: str, summary: str, done: str, *, member: str = "id", outcome: str = "deleted") -> None:
        """Add a verb that deletes. ``done`` says so, or the document does: its ``member`` holds the item's name."""
        show = partial(show_done, done) if done else _show_members

        def send(target: Target, _values: Values) -> None:
            target.remote.delete(target.path)
            show(**{member: unquote(target.path.rpartition("/")[2]), outcome: True})

        self.add(verb, summary, send)


def _patch(target: Target, values: Values) -> None:
    show_one(target.remote.patch(target.path, values))


def _show_members(**members: object) -> None:
    show_one(members)
