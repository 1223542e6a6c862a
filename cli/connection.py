"""``identity connection``."""

from dataclasses import replace

import click

from cli.arguments import JSON, named_argument
from cli.logs import LOG_OPTIONS, show_log, with_reading
from cli.naming import CONNECTION, PRINCIPAL, connection_id
from cli.noun import Item, Noun, Target, Values
from identity.model.connection import Dialect, TokenKind, UpstreamAct
from identity.model.provisioning_log import RequestOutcome

LOG_COLUMNS = ("at", "method", "path", "name", "outcome", "status", "scim_type", "detail", "id")
DIALECT = click.Choice([dialect.value for dialect in Dialect])
POLICY = (
    click.option("--token-kind", "token_kinds", type=click.Choice([kind.value for kind in TokenKind]), multiple=True,
                 help="oidc: a kind of its tokens that is taken; repeatable. Default: id_token and access_token."),
    click.option("--max-age-s", type=int, help="oidc: how long ago its tokens may have been issued. Default: a day."),
    click.option("--max-lifetime-s", type=int, help="oidc: for how long its tokens may be good. Default: a day."),
    click.option("--upstream-act", type=click.Choice([choice.value for choice in UpstreamAct]),
                 help="oidc: what becomes of its tokens that name actors themselves. Default: refuse."),
)  # fmt: skip
"""The policy for the tokens of an upstream issuer."""


def _show_log(target: Target, values: Values) -> None:
    log = replace(target, path=f"{target.path}/requests")
    show_log(log, values.pop("reading"), values, LOG_COLUMNS, {})


connection = Noun(
    "connection", "Manage connections to identity providers.", "/tenants/{tenant}/connections",
    ("id", "name", "kind", "dialect", "issuer", "created_at", "ended_at"),
    Item(named_argument, lambda remote, tenant, values: connection_id(remote, tenant, values.pop("named"))),
)  # fmt: skip

connection.add_post(
    "create", "Create a connection; the bearer token of a SCIM connection is shown once.",
    click.option("--kind", type=click.Choice(["scim", "oidc"]), required=True),
    click.option("--name", required=True),
    click.option("--dialect", type=DIALECT, help="scim: which readings its client needs."),
    click.option("--issuer", help="oidc: the upstream issuer's URL."),
    click.option("--jwks-uri", help="oidc: where its keys are."),
    click.option("--jwks", type=JSON, help="oidc: its keys themselves, @FILE."),
    click.option("--audience", "audiences", multiple=True, help="oidc: an accepted aud; may be repeated."),
    click.option("--subject-claim", help="oidc: the claim that names the person. Default: sub."),
    click.option("--match", type=click.Choice(["subject", "externalId"]), help="oidc: what it is compared with."),
    click.option("--provisioned-by", type=CONNECTION,
                 help="oidc: the SCIM connection whose externalId it is, by name or id; needed for that match."),
    *POLICY, of_one=False, shown_once="token",
)  # fmt: skip
connection.add_list("List connections, ended ones among them.")
connection.add_show("Show one connection.")
connection.add_patch(
    "change", "Change a connection's name, a scim one's dialect, or which tokens of an oidc one are taken.",
    click.option("--name"),
    click.option("--dialect", type=DIALECT),
    *POLICY,
)  # fmt: skip
connection.add_post(
    "rotate-token", "Give a SCIM connection a new bearer token, shown once.",
    click.option("--overlap-s", type=int, help="Seconds that the present token lives on. Default: a day."),
    below="/tokens", shown_once="token",
)  # fmt: skip
connection.add_delete(
    "end", "End a connection for ever. Provisioned users are kept.",
    "The connection has ended. Provisioned users are kept.", outcome="ended",
)  # fmt: skip
connection.add(
    "log", "Read what a SCIM connection asked in the last week, newest first; --json shows bodies and changes.",
    _show_log,
    click.option("--principal", type=PRINCIPAL,
                 help="Only what concerns this user, group, agent or service account, by name or id."),
    click.option("--name", help="Only what was asked under this userName or displayName, also where it was refused."),
    click.option("--outcome", type=click.Choice([outcome.value for outcome in RequestOutcome])),
    *LOG_OPTIONS, prepare=with_reading,
)  # fmt: skip
