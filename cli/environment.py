"""``identity dev env``: what commands need to use the example tenant, as variables of a shell."""

import shlex
from pathlib import Path

from cli.output import answer
from cli.problems import NOT_FOUND, Refused
from cli.sources import running_dev
from dev.example_tenant import SLUG, ExampleTenant, read_example

CLIENTS = {"AGENT": "invoice-bot", "NEXT_AGENT": "ocr-bot", "ERP": "erp", "LEDGER": "ledger"}
"""The variables ``_ID`` and ``_SECRET`` of each client of the tenant; one of an earlier version has no ledger."""


def show_environment(folder: Path) -> None:
    """Print a line ``export NAME=value`` for each variable. Raises ``Refused``."""
    access = running_dev(folder)
    example = read_example(folder)
    if example is None or not example.is_whole:
        raise Refused(f"{folder} has no tenant {SLUG} to try: start with `identity dev --story`", NOT_FOUND)
    variables = variables_of(access.url, example)
    answer(variables, "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


def variables_of(url: str, example: ExampleTenant) -> dict[str, str]:
    """Return the variables by name."""
    issuer = f"{url}/t/{SLUG}"
    variables = {
        "IDENTITY_URL": url,
        "ISSUER": issuer,
        "SCIM_URL": f"{issuer}/scim/v2",
        "SCIM_TOKEN": example.scim_token,
    }
    for prefix, name in CLIENTS.items():
        if name in example.clients:
            variables[f"{prefix}_ID"], variables[f"{prefix}_SECRET"] = example.clients[name]
    return variables
