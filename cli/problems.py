"""Refusals in the terms of the command line: options in place of JSON pointers, and an exit status."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import click
import httpx2

UNREACHABLE, NOT_AUTHENTICATED, NOT_FOUND, CONFLICT, MALFORMED = 3, 4, 5, 6, 7
EXIT_CODES = {400: MALFORMED, 401: NOT_AUTHENTICATED, 403: NOT_AUTHENTICATED, 404: NOT_FOUND, 409: CONFLICT,
              412: CONFLICT, 413: MALFORMED, 415: MALFORMED, 503: UNREACHABLE}  # fmt: skip
"""Of the commands that ask the admin API, and stable: 0 done, 1 anything else, 2 wrong usage."""

MEMBER = re.compile(r"([A-Za-z0-9_]+)(?:\[[0-9]+\])*(?= )")
"""The member's name at the start of a sentence of the admin API."""


class Refused(click.ClickException):
    """A refusal with its exit status; ``more`` are members that ``--json`` prints besides code and message."""

    def __init__(self, message: str, exit_code: int, *, code: str = "refused", **more: Any) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance
        self.code = code
        self.more = {name: value for name, value in more.items() if value is not None}


def refusal_of(answer: httpx2.Response, problem: Mapping[str, Any], advice: str | None) -> Refused:
    """Return a refusal of the admin API in the terms of the command line."""
    exit_code = EXIT_CODES.get(answer.status_code, 1)
    if "detail" not in problem:
        words = f"{answer.url} answered {answer.status_code}, not as the admin API does: check the URL"
        return Refused(words, exit_code, code="not_the_admin_api")
    code, request_id = str(problem.get("code")), str(problem.get("request_id"))
    faults = [_fault(each) for each in problem.get("errors", ()) if isinstance(each, Mapping)]
    first, *rest = [each["message"] for each in faults] or [str(problem["detail"])]
    lines = [f"{first} ({code})", *(f"  {line}" for line in rest)]
    lines += [] if advice is None else [f"  {advice}"]
    where = {"pointer": faults[0]["pointer"], "option": faults[0]["option"], "errors": faults} if faults else {}
    message = "\n".join(printable(line) for line in [*lines, f"  request {request_id}"])
    return Refused(message, exit_code, code=code, request_id=request_id, detail=first, advice=advice, **where)


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    pointer, detail = str(fault.get("pointer")), str(fault.get("detail"))
    option = option_of(pointer)
    return {"pointer": pointer, "option": option, "message": _sentence(option or pointer, detail)}


def _sentence(place: str, detail: str) -> str:
    """Return a sentence about an option: it takes the place of the member's name, or stands before the sentence."""
    named = MEMBER.match(detail)
    if named is not None and place in (option_of(named[1]), f"/{named[1]}", named[1]):
        return place + detail[named.end() :]
    return f"{place}: {detail}"


def option_of(pointer: str) -> str | None:
    """Return the option or argument of the present command that a pointer or parameter is about."""
    context = click.get_current_context(silent=True)
    member = pointer.lstrip("/").split("/")[0]
    for parameter in [] if context is None else context.command.params:
        if (parameter.name or "").rstrip("_") == member:
            return parameter.human_readable_name if isinstance(parameter, click.Argument) else parameter.opts[0]
    return None


def close_names(typed: str, names: Mapping[str, str]) -> list[str]:
    """Return up to three of the names, whose spellings in lower case are the keys, that are almost ``typed``."""
    return list(dict.fromkeys(names[spelling] for spelling in get_close_matches(typed.casefold(), names)))


def hint(names: Iterable[str]) -> str:
    """Return the end of a sentence that suggests these names; nothing where there is none."""
    shown = " or ".join(names)
    return f"; did you mean {shown}?" if shown else ""


def printable(text: object) -> str:
    """Return one line without control characters, which a name from a source may contain."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(text))
