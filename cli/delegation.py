"""``identity delegation``."""

import click

from cli.arguments import JSON
from cli.naming import GROUP, PRINCIPAL, USER
from cli.noun import Noun, Values, by_id, clear

delegation = Noun(
    "delegation", "Manage delegations: which agent may act for whom.", "/tenants/{tenant}/delegations",
    ("id", "actor", "subject", "resource", "scopes", "expires_at", "ended_at"), by_id("delegation_id"),
    {"actor": ("actor_id",), "subject": ("subject_id", "subject_group_id")},
)  # fmt: skip

lifetime_option = click.option("--max-lifetime-s", type=int, help="The longest life of a token, in seconds.")
task_option = click.option(
    "--max-task-s", type=int, help="How long a task under it may go on, in seconds: 60 to 86400."
)


def _for_one(values: Values) -> Values:
    if (values["subject_id"] is None) == (values["subject_group_id"] is None):
        raise click.UsageError("give either --subject or --group")
    return values


def _changes(values: Values) -> Values:
    return clear(values, "no_expiry", "expires_at")


delegation.add_post(
    "grant", "Let an agent act for a user, or for the members of a group, at one resource server.",
    click.option("--actor", "actor_id", type=PRINCIPAL, required=True,
                 help="The agent or service account, by name or id."),
    click.option("--subject", "subject_id", type=USER, help="For this user, by name or id."),
    click.option("--group", "subject_group_id", type=GROUP, help="Or: for the members of this group, by name or id."),
    click.option("--resource", required=True, help="The resource server's audience."),
    click.option("--scope", "scopes", multiple=True, help="A scope; may be repeated."),
    click.option("--details", "authorization_details", type=JSON, help="authorization_details (RFC 9396), @FILE."),
    lifetime_option,
    click.option("--max-depth", type=int,
                 help="How many agents may act from this one on, itself included; 1: it may not hand on."),
    task_option,
    click.option("--expires-at", help="When it expires: 2027-01-31T12:00:00Z."),
    of_one=False, prepare=_for_one,
)  # fmt: skip
delegation.add_list(
    "List delegations, ended ones among them unless --active is given.",
    click.option("--actor", type=PRINCIPAL, help="Only those of this agent, by name or id."),
    click.option("--subject", type=PRINCIPAL, help="Only those for this user or group, by name or id."),
    click.option("--active", flag_value="true",
                 help="Only those that have neither ended nor expired, the next to expire first."),
)  # fmt: skip
delegation.add_show("Show one delegation.")
delegation.add_patch(
    "change", "Change what a delegation permits; less than before ends the tokens that rest on it.",
    click.option("--scope", "scopes", multiple=True, help="All its scopes from now on; may be repeated."),
    click.option("--details", "authorization_details", type=JSON,
                 help="All its authorization_details from now on (RFC 9396), @FILE."),
    lifetime_option,
    click.option("--max-depth", type=int, help="How many agents a chain may have; 1: it may not be handed on."),
    task_option,
    click.option("--expires-at", help="Until when, as 2027-01-31T12:00:00Z."),
    click.option("--no-expiry", is_flag=True, help="It does not expire any more."),
    prepare=_changes,
)  # fmt: skip
delegation.add_delete(
    "end", "End a delegation, and every token that rests on it.",
    "The delegation has ended, and every token that rests on it.", outcome="ended",
)  # fmt: skip
