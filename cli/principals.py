"""``identity agent``, ``service-account``, ``user`` and ``group``: the same commands for each kind of principal."""

from collections.abc import Callable
from typing import Any

import click

from cli.arguments import after_option, limit_option, named_argument, tenant_argument
from cli.naming import NOUNS, principal_id
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one

Command = Callable[..., Any]
Option = Callable[[Command], Command]

COLUMNS = ("id", "name", "display_name", "state", "external_id")
STATES = ("active", "suspended", "deprovisioned")
VERBS = {
    "suspend": "Suspend {a}: its tokens and tasks end at once, until it is reactivated.",
    "reactivate": "Reactivate {a}. Tokens and tasks that ended stay ended.",
    "deprovision": "Deprovision {a}: end its tokens, tasks, credentials and delegations at once.",
    "protect": "Protect {a}: no identity provider can change it (for break-glass accounts).",
    "unprotect": "Let the identity provider change {a} again.",
}


def commands_for(kind: str, words: str, *, has_kind_option: bool = False) -> click.Group:
    """Return the commands for one kind; ``--kind`` asks for another one where it is an option."""
    group = click.Group(kind.replace("_", "-"), help=words)
    kind_option = click.option("--kind", type=click.Choice(list(NOUNS)), default=kind, show_default=True)
    option: Option = kind_option if has_kind_option else _unchanged
    noun = NOUNS[kind]
    a_noun = f"an {noun}" if noun[0] == "a" else f"a {noun}"
    _add_list(group, kind, f"List {noun}s.", option)
    _add_show(group, kind, f"Show {a_noun}, with its owners and groups.", option)
    for verb, sentence in VERBS.items():
        _add_verb(group, kind, verb, sentence.format(a=a_noun), option)
    return group


def _unchanged(command: Command) -> Command:
    return command


def _add_list(group: click.Group, default: str, words: str, kind_option: Option) -> None:
    @group.command("list", help=words)
    @tenant_argument
    @kind_option
    @click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
    @click.option("--protected", is_flag=True, help="Only those that no identity provider can change.")
    @limit_option
    @after_option
    @json_option
    def list_(
        tenant: str, state: str | None, protected: bool, limit: int, after: str | None, kind: str = default
    ) -> None:
        only = {"is_protected": "true"} if protected else {}
        path = f"/tenants/{tenant}/principals"
        show_list(connect().pages(path, limit=limit, after=after, kind=kind, state=state, **only), *COLUMNS)


def _add_show(group: click.Group, default: str, words: str, kind_option: Option) -> None:
    @group.command(help=words)
    @tenant_argument
    @named_argument
    @kind_option
    @json_option
    def show(tenant: str, named: str, kind: str = default) -> None:
        remote = connect()
        show_one(remote.get(f"/tenants/{tenant}/principals/{principal_id(remote, tenant, named, kind)}"))


def _add_verb(group: click.Group, default: str, verb: str, words: str, kind_option: Option) -> None:
    @group.command(verb, help=words)
    @tenant_argument
    @named_argument
    @click.option("--reason", help="Why, for the audit log.")
    @kind_option
    @json_option
    def change(tenant: str, named: str, reason: str | None, kind: str = default) -> None:
        remote = connect()
        whom = principal_id(remote, tenant, named, kind)
        show_one(remote.post(f"/tenants/{tenant}/principals/{whom}/{verb}", {"reason": reason}))


agent = commands_for("agent", "Manage agents.", has_kind_option=True)
service_account = commands_for("service_account", "Manage service accounts.")
user = commands_for("user", "Manage users.")
group = commands_for("group", "Manage groups.")
