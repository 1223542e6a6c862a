"""``identity audit``."""

from dataclasses import replace

import click

from cli.logs import LOG_OPTIONS, pages_of, show_log, with_reading
from cli.naming import PRINCIPAL
from cli.noun import Noun, Target, Values
from cli.output import is_json
from cli.task_log import show_task_log

audit = Noun(
    "audit", "Read the audit log: every change, every issued token, every refusal.", "/tenants/{tenant}/events",
    ("at", "type", "outcome", "reason", "subject", "actors", "txn", "id"),
    names={"subject": ("subject_id",), "actors": ("actor_ids",)},
)  # fmt: skip


def _show(target: Target, values: Values) -> None:
    reading, txn = values.pop("reading"), values["txn"]
    if txn is not None and not (is_json() or reading.follow):
        pages = pages_of(target.remote, target.path, replace(reading, oldest_first=True), values)
        show_task_log(target.remote, target.tenant, txn, pages)
        return
    show_log(target, reading, values, audit.columns, audit.names)


audit.add(
    "list", "Read a tenant's audit log, newest first.", _show,
    click.option("--txn", metavar="TASK_ID", help="Only what serves this task, as its course from the first token on."),
    click.option("--principal", type=PRINCIPAL,
                 help="Only what names this user, group, agent or service account, by name or id."),
    click.option("--type", help="Only events of this type, as delegation.granted."),
    *LOG_OPTIONS, prepare=with_reading,
)  # fmt: skip
