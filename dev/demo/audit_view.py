"""The audit log of one task, as a tree of its tokens."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.tree import Tree


def audit_tree(txn: str, events: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Tree:
    """Return the events of a task, each token below the one for which it was exchanged."""
    tree = Tree(f"task [bold]{txn}[/bold]")
    branches: dict[str | None, Tree] = {None: tree}
    for event in events:
        detail = event["detail"]
        above = branches.get(detail.get("parent") or detail.get("jti"), tree)
        branch = above.add(describe(event, names))
        if event["type"] == "token.issued":
            branches[detail["jti"]] = branch
    return tree


def describe(event: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return one event in one line: when, what, by whom for whom, and why."""
    at = event["at"][11:23]
    chain = " ← ".join(names.get(actor, actor) for actor in event["actor_ids"])
    subject = names.get(event["subject_id"] or "", event["subject_id"] or "")
    whom = f"{chain} for {subject}" if chain else subject
    detail = event["detail"]
    what = ""
    if "expires_in" in detail:
        audience = names.get(detail["audience"], detail["audience"])
        what = f" · {detail['scope']} at {audience}, {detail['expires_in']} s"
    why = f" · {event['reason']}" if event["reason"] else ""
    colour = "red" if event["outcome"] == "refused" else "green"
    return f"[dim]{at}[/dim] [{colour}]{event['type']}[/{colour}] {whom}{what}{why}"
