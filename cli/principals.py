"""``identity agent``, ``service-account``, ``user`` and ``group``: the same commands for each kind of principal."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from cli.arguments import named_argument, reason_option
from cli.naming import NOUNS, principal_id
from cli.noun import Item, Noun, Target, Values
from cli.remote import Remote
from cli.showing import show_one
from identity.model.lifecycle import Credentials

COLUMNS = ("id", "name", "display_name", "state", "external_id")
STATES = ("active", "suspended", "deprovisioned")
VERBS = {
    "suspend": "Suspend {a} until it is reactivated: its tokens and tasks end at once.",
    "reactivate": "Reactivate {a}, and say what lives again. Tokens and tasks that ended stay ended.",
    "deprovision": "Deprovision {a}: end its tokens, tasks, credentials and delegations at once.",
    "protect": "Protect {a}: no identity provider can change it (for break-glass accounts).",
    "unprotect": "Let the identity provider change {a} again.",
}

credentials_option = click.option(
    "--credentials",
    type=click.Choice([choice.value for choice in Credentials]),
    help="What becomes of its clients and delegations: keep them for `reactivate`, or end them for good (revoke). Where"
    " it is left out, they are kept.",
)
FILTERS = (
    click.option("--state", type=click.Choice(STATES), help="Only those in this state."),
    click.option("--protected", "is_protected", flag_value="true",
                 help="Only those that no identity provider can change."),
)  # fmt: skip


def commands_for(kind: str, summary: str, *, has_kind_option: bool = False) -> click.Group:
    """Return the commands for one kind; ``--kind`` chooses another one where it is an option."""

    def find(remote: Remote, tenant: str, values: Values) -> str:
        return principal_id(remote, tenant, values.pop("named"), values.pop("kind", kind))

    def with_kind(values: Values) -> Values:
        return {"kind": kind} | values

    noun = Noun(kind.replace("_", "-"), summary, "/tenants/{tenant}/principals", COLUMNS, Item(named_argument, find))
    kind_option = click.option("--kind", type=click.Choice(list(NOUNS)), default=kind, show_default=True)
    kinds = (kind_option,) if has_kind_option else ()
    called = NOUNS[kind]
    a_principal = f"an {called}" if called[0] == "a" else f"a {called}"
    noun.add_list(f"List {called}s.", *kinds, *FILTERS, prepare=with_kind)
    noun.add_show(f"Show {a_principal}, with its owners and groups.", *kinds)
    for verb, sentence in VERBS.items():
        options = (reason_option, credentials_option) if verb == "suspend" else (reason_option,)
        noun.add(verb, sentence.format(a=a_principal), partial(_change, verb), *options, *kinds)
    return noun


def _change(verb: str, target: Target, values: Values) -> None:
    changed = target.remote.post(f"{target.path}/{verb}", values)
    restored = changed.get("restored")
    show_one(changed, in_words={} if restored is None else {"restored": _in_words(restored)})


def _in_words(restored: Mapping[str, Any]) -> str:
    """Return what is in force again: `2 clients (ID ID), 5 delegations`."""
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
