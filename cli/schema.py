"""``identity schema``."""

import json
from typing import Any, TextIO
from urllib.parse import quote

import click

from cli.noun import Item, Noun, Target, Values
from cli.showing import show_list

schema = Noun(
    "schema", "Manage SCIM schemas of your own.", "/tenants/{tenant}/schemas",
    ("id", "version", "description", "created_at"),
    Item(click.argument("id_", metavar="ID"), lambda _remote, _tenant, values: quote(values.pop("id_"), safe=":")),
)  # fmt: skip
file_argument = click.argument("file", type=click.File())


def _document(values: Values) -> Values:
    """Return the JSON object in the file, and the item's name. Raises ``click.BadParameter``."""
    file: TextIO = values.pop("file")
    try:
        found: Any = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{file.name} holds no JSON object")
    return found | values


def _changes(values: Values) -> Values:
    return {name: value for name, value in _document(values).items() if name != "id"}


def _show_versions(target: Target, _values: Values) -> None:
    show_list([target.remote.get(f"{target.path}/versions")], "version", "created_at", "description")


schema.add_post(
    "define", "Define the schema that FILE describes (RFC 7643 §7); - reads standard input.", file_argument,
    of_one=False, prepare=_document,
)  # fmt: skip
schema.add_list("List the schemas that a tenant defined.", is_paged=False)
schema.add_show("Show the newest version of a schema.")
schema.add("versions", "List every version of a schema.", _show_versions)
schema.add_patch(
    "change", "Write the next version: name, description and attributes as FILE gives them.", file_argument,
    prepare=_changes,
)  # fmt: skip
schema.add_delete("delete", "Delete a schema that no resource type uses.", "")
