"""``identity tenant``."""

import click

from cli.arguments import id_argument
from cli.noun import Noun, Values, by_id

tenant = Noun(
    "tenant", "Manage tenants. Each is isolated and has an issuer of its own.", "/tenants",
    ("slug", "display_name", "state", "issuer"), by_id("slug"),
)  # fmt: skip


def _with_name(values: Values) -> Values:
    return values | {"display_name": values["display_name"] or values["slug"]}


tenant.add_post(
    "create", "Create a tenant, with its issuer and its first signing key.", id_argument("slug"),
    click.option("--name", "display_name", help="What people call it. Default: the slug."),
    of_one=False, prepare=_with_name,
)  # fmt: skip
tenant.add_list("List tenants.")
tenant.add_show("Show one tenant.")
tenant.add_patch(
    "change", "Change the name of a tenant, or what it allows of tokens and tasks from now on.",
    click.option("--name", "display_name", help="What people call it."),
    click.option("--task-lifetime-max-s", type=int,
                 help="The longest life of a delegated token, in seconds: 1 to 300."),
    click.option("--max-task-s", type=int, help="How long a task may go on, in seconds: 60 to 86400."),
)  # fmt: skip
