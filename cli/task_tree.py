"""The text of one task: a few lines, or the tree of its tokens."""

from collections.abc import Iterator, Mapping
from typing import Any

from cli.problems import printable
from cli.task_log import INDENT, authority_in

Document = Mapping[str, Any]
Names = Mapping[str, str]

SPENT_OF = {"tokens": "tokens", "tokens_per_minute": "tokens_in_minute", "fan_out": "fan_out", "depth": None}
"""Each limit of a budget, and what was spent of it; of a depth nothing is spent."""


def readable(task: Document) -> dict[str, Any]:
    """Return a task with its authority and its budget in words."""
    shown = dict(task)
    spent = shown.pop("spent", None) or {}
    shown["authority"] = "; ".join(_entry(entry) for entry in task["authority"] or ())
    shown["budget"] = ", ".join(_limit(name, most, spent) for name, most in (task["budget"] or {}).items() if most)
    return shown


def _entry(entry: Document) -> str:
    details = len(entry["authorization_details"])
    restricted = f" with {details} authorization details" if details else ""
    return f"{' '.join(entry['scopes']) or 'no scope'} at {entry['resource']}{restricted}"


def _limit(name: str, most: int, spent: Document) -> str:
    counted = SPENT_OF.get(name)
    return f"{name} {most}" if counted is None else f"{name} {spent.get(counted, 0)} of {most}"


def lines_of(tree: Document, names: Names) -> Iterator[str]:
    """Yield the lines of a tree: each token below the one for which it was exchanged, with its refusals."""
    yield from map(printable, _heading(tree, names))
    for token in tree["tokens"]:
        yield from _token(token, names, INDENT)
    for refusal in tree["refusals"]:
        yield _refusal(refusal, names, INDENT)
    if tree["is_truncated"]:
        yield f"\nThere is more: identity audit list TENANT --txn {tree['txn']}"


def _heading(tree: Document, names: Names) -> Iterator[str]:
    yield f"Task {tree['txn']}" + (f": {tree['purpose']}" if tree["purpose"] else "")
    opener, subject = _name(tree["opened_by"], names), _name(tree["subject_id"], names)
    yield f"opened by {opener} for {subject} at {tree['opened_at'][:19]}"
    if tree["ended_at"] is not None:
        yield f"{tree['ended_as']} at {tree['ended_at'][:19]}: {tree['ended_reason']}"


def _token(token: Document, names: Names, indent: str) -> Iterator[str]:
    who = "itself" if token["actor_id"] is None else _name(token["actor_id"], names)
    said = [f"{authority_in(token)}, {token['issued_at'][:19]} to {token['expires_at'][:19]}", *_marks(token)]
    yield printable(f"{indent}{who}: {', '.join(said)}")
    for refusal in token["refusals"]:
        yield _refusal(refusal, names, indent + INDENT)
    for child in token["children"]:
        yield from _token(child, names, indent + INDENT)


def _marks(token: Document) -> Iterator[str]:
    if token["renewals"]:
        yield "renewed once" if token["renewals"] == 1 else f"renewed {token['renewals']} times"
    marks = (("has_crossed", "crossed"), ("is_cancelled", "branch cancelled"), ("revoked_at", "revoked"))
    yield from (words for member, words in marks if token[member])


def _refusal(refusal: Document, names: Names, indent: str) -> str:
    who = _name(next(iter(refusal["actor_ids"]), None), names)
    return printable(f"{indent}refused: {who}: {refusal['reason']}, {refusal['at'][:19]}")


def _name(id_: str | None, names: Names) -> str:
    return "-" if id_ is None else names.get(id_, id_)


def ids_in(tree: Document) -> Iterator[str | None]:
    """Yield the principals that a tree names."""
    yield from (tree["subject_id"], tree["opened_by"])
    yield from _ids_under(tree["tokens"], tree["refusals"])


def _ids_under(tokens: list[Document], refusals: list[Document]) -> Iterator[str | None]:
    yield from (next(iter(refusal["actor_ids"]), None) for refusal in refusals)
    for token in tokens:
        yield token["actor_id"]
        yield from _ids_under(token["children"], token["refusals"])
