"""What a client would rather have (RFC 7240): hints, so what is unknown or malformed is ignored."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from werkzeug.http import parse_list_header

SECONDS = re.compile(r'"?([0-9]{1,9})"?', re.ASCII)


@dataclass(frozen=True, slots=True)
class Preferences:
    """``respond-async``, and for how many seconds the client would wait for an answer before (§4.1, §4.3)."""

    respond_async: bool = False
    wait_s: int = 0


def parse_preferences(headers: Iterable[str]) -> Preferences:
    """Return what the ``Prefer`` headers of a request say; of what is said twice the first counts (§2)."""
    said: dict[str, str] = {}
    for preference in parse_list_header(",".join(headers)):
        name, _, value = preference.partition(";")[0].partition("=")
        said.setdefault(name.strip().lower(), value.strip())
    wait = SECONDS.fullmatch(said.get("wait", ""))
    return Preferences("respond-async" in said, int(wait[1]) if wait else 0)
