"""``identity agent``, ``service-account``, ``user`` and ``group``: the same commands for each kind of principal."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from cli.arguments import after_option, limit_option, named_argument, tenant_argument
from cli.naming import NOUNS, principal_id
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one
from identity.model.lifecycle import Credentials

Command = Callable[..., Any]
Option = Callable[[Command], Command]

COLUMNS = ("id", "name", "display_name", "state", "external_id")
STATES = ("active", "suspended", "deprovisioned")
VERBS = {
    "suspend": "Suspend {a} until it is reactivated: its tokens and tasks end at once.",
    "reactivate": "Reactivate {a}, and say what lives again. Tokens and tasks that ended stay ended.",
    "deprovision": "Deprovision {a}: end its tokens, tasks, credentials and delegations at once.",
    "protect": "Protect {a}: no identity provider can change it (for break-glass accounts).",
    "unprotect": "Let the identity provider change {a} again.",
}

CREDENTIALS_OPTION = click.option(
    "--credentials",
    type=click.Choice([choice.value for choice in Credentials]),
    help="What becomes of its clients and delegations: keep them for `reactivate`, or end them for good (revoke). Where"
    " it is left out, they are kept.",
)


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
    credentials_option: Option = CREDENTIALS_OPTION if verb == "suspend" else _unchanged

    @group.command(verb, help=words)
    @tenant_argument
    @named_argument
    @click.option("--reason", help="Why, for the audit log.")
    @credentials_option
    @kind_option
    @json_option
    def change(
        tenant: str, named: str, reason: str | None, credentials: str | None = None, kind: str = default
    ) -> None:
        remote = connect()
        whom = principal_id(remote, tenant, named, kind)
        asked = {"reason": reason, "credentials": credentials}
        answered = remote.post(f"/tenants/{tenant}/principals/{whom}/{verb}", asked)
        restored = answered.get("restored")
        show_one(answered, in_words={} if restored is None else {"restored": _in_words(restored)})


def _in_words(restored: Mapping[str, Any]) -> str:
    """Return what lives again: `2 clients (ID ID), 5 delegations`."""
    clients, number = restored["clients"], restored["delegations"]
    ids = f" ({' '.join(clients)})" if clients else ""
    delegations = (
        f"at least {number} delegations" if restored["has_more_delegations"] else _counted(number, "delegation")
    )
    return f"{_counted(len(clients), 'client')}{ids}, {delegations}"


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


agent = commands_for("agent", "Manage agents.", has_kind_option=True)
service_account = commands_for("service_account", "Manage service accounts.")
user = commands_for("user", "Manage users.")
group = commands_for("group", "Manage groups.")
