"""The events of one task in their order, each token below the one for which it was exchanged."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from cli.naming import names_of
from cli.problems import printable
from cli.remote import Pages, Remote

INDENT = "   "

Event = Mapping[str, Any]


def show_task_log(remote: Remote, tenant: str, txn: str, pages: Pages) -> None:
    """Print the events of a task, oldest first."""
    events, cursor = [], None
    for page in pages:
        events += page["items"]
        cursor = page["next_cursor"]
    if not events:
        click.echo("No results.")
        return
    ids = (id_ for event in events for id_ in (event["subject_id"], *event["actor_ids"]))
    names = names_of(remote, tenant, ids)
    click.echo(f"Task {txn}")
    for line in course_of(events, names):
        click.echo(line)
    if cursor is not None:
        click.echo(f"\nThere are more: --after {cursor}")


def course_of(events: Iterable[Event], names: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each event, indented below the token that it used."""
    depths: dict[str, int] = {}
    for event in events:
        detail = event["detail"]
        used = detail.get("parent") or detail.get("jti")
        depth = depths[used] + 1 if used in depths else 1
        if event["type"] == "token.issued" and "jti" in detail:
            depths[detail["jti"]] = depth
        yield printable(f"{event['at'][:23]:<23}{INDENT * depth}{described(event, names)}")


def described(event: Event, names: Mapping[str, str]) -> str:
    """Return one event: what, by whom for whom, and why."""
    chain = " via ".join(names.get(actor, actor) for actor in event["actor_ids"])
    subject = names.get(event["subject_id"] or "", event["subject_id"] or "")
    parties = f"{chain} for {subject}" if chain and subject else chain or subject
    detail = event["detail"]
    issued = f"{authority_in(detail)}, {detail['expires_in']} s" if "expires_in" in detail else ""
    return ": ".join(str(part) for part in (event["type"], parties, issued, event["reason"]) if part)


def authority_in(token: Mapping[str, Any]) -> str:
    """Return what a token allows, and where."""
    return f"{token.get('scope') or 'no scope'} at {token.get('audience')}"
