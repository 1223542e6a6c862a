"""``identity audit``."""

from dataclasses import replace
from functools import partial
from typing import Any

import click

from cli.arguments import tenant_argument
from cli.logs import log_options, pages_of, reading_of, show_log
from cli.naming import principal_id, with_names
from cli.output import is_json, json_option
from cli.remote import connect
from cli.task_log import show_task_log

COLUMNS = ("at", "type", "outcome", "reason", "subject", "actors", "txn", "id")
NAMES = {"subject": ("subject_id",), "actors": ("actor_ids",)}


@click.group()
def audit() -> None:
    """Read the audit log: every change, every issued token, every refusal."""


@audit.command("list")
@tenant_argument
@click.option("--txn", metavar="TASK_ID", help="Only what serves this task, as its course from the first token on.")
@click.option("--principal", help="Only what names this user, group, agent or service account, by name or id.")
@click.option("--type", "type_", help="Only events of this type, as delegation.granted.")
@log_options
@json_option
def list_(tenant: str, txn: str | None, principal: str | None, type_: str | None, **options: Any) -> None:
    """Read a tenant's audit log, newest first."""
    reading = reading_of(options)
    remote = connect()
    whom = None if principal is None else principal_id(remote, tenant, principal)
    path, query = f"/tenants/{tenant}/events", {"txn": txn, "principal": whom, "type": type_}
    if txn is not None and not (is_json() or reading.follow):
        show_task_log(remote, tenant, txn, pages_of(remote, path, replace(reading, oldest_first=True), query))
        return
    named = partial(with_names, remote, tenant, columns=NAMES)
    show_log(remote, path, reading, query, COLUMNS, named)
