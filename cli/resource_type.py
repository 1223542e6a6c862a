"""``identity resource-type``."""

import click

from cli.noun import Item, Noun, Values

name_argument = click.argument("name")
extension_options = (
    click.option(
        "--extension", "extensions", multiple=True, metavar="ID", help="A schema that extends it; may be repeated."
    ),
    click.option("--required", multiple=True, metavar="ID", help="A schema that extends every resource of it."),
)

resource_type = Noun(
    "resource-type", "Manage SCIM resource types of your own, and extensions of the built-in ones.",
    "/tenants/{tenant}/resource-types", ("name", "endpoint", "schema", "schemaExtensions", "is_built_in"),
    Item(name_argument, lambda _remote, _tenant, values: str(values.pop("name"))),
)  # fmt: skip


def _with_extensions(values: Values) -> Values:
    """Join schemas that may extend a resource with those that extend every one."""
    extensions, required = values.pop("extensions"), values.pop("required")
    optional = [{"schema": id_} for id_ in extensions if id_ not in required]
    return values | {"schemaExtensions": [*optional, *({"schema": id_, "required": True} for id_ in required)]}


resource_type.add_post(
    "define", "Define the resource type NAME.", name_argument,
    click.option("--endpoint", required=True, help="Where its resources are, as in /Devices."),
    click.option("--schema", required=True, metavar="ID", help="The schema of its resources."),
    click.option("--description", default=""),
    *extension_options, of_one=False, prepare=_with_extensions,
)  # fmt: skip
resource_type.add_list("List resource types.", is_paged=False)
resource_type.add_patch(
    "extend", "Let exactly these schemas extend the resource type NAME; without any, none.", *extension_options,
    prepare=_with_extensions,
)  # fmt: skip
resource_type.add_delete("delete", "Delete a resource type of which there is no resource.", "", member="name")
