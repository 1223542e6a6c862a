"""``identity task``."""

import click

from cli.arguments import reason_option
from cli.naming import PRINCIPAL, names_of, with_names_in
from cli.noun import Noun, Target, Values, by_id
from cli.output import answer, is_json
from cli.showing import show_one
from cli.task_tree import ids_in, lines_of, readable

task = Noun(
    "task", "Manage tasks.", "/tenants/{tenant}/tasks", ("txn", "actor", "subject", "audience", "state", "expires_at"),
    by_id("txn"), {"actor": ("actor_id",), "subject": ("subject_id",)},
)  # fmt: skip


def _show(target: Target, _values: Values) -> None:
    found = with_names_in(target.remote, target.tenant, target.remote.get(target.path), task.names)
    show_one(found if is_json() else readable(found))


def _show_tree(target: Target, _values: Values) -> None:
    remote = target.remote
    found = remote.get(f"{target.path}/tree")
    answer(found, "" if is_json() else "\n".join(lines_of(found, names_of(remote, target.tenant, ids_in(found)))))


task.add_list(
    "List tasks, ended ones among them.",
    click.option("--principal", type=PRINCIPAL, help="Only those that this principal is a party to, by name or id."),
)  # fmt: skip
task.add("show", "Show one task: its purpose, its authority, and what it spent of its budget.", _show)
task.add("tree", "Draw who did what in a task: each token below the one that it was traded for.", _show_tree)
task.add_post("cancel", "End a task and every token that serves it, at once.", reason_option, below="/cancel")
