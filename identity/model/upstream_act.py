"""The chain of actors that an upstream token names (RFC 8693 §4.1), when a connection keeps it."""

import json
from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit

ACT_BYTES_MAX = 2_048
LINKS_MAX = 8
"""More than a token of ours may name: a chain that is a little too long is refused for its depth, a clearer reason."""
NAME_LENGTH_MAX = 512


def chain_of(act: object, *, upstream_issuer: str, own_issuer: str) -> Mapping[str, Any] | None:
    """Return the whole chain with an ``iss`` in each link, or None when it is malformed, too large or names us.

    A link without ``iss`` is of the upstream. None may be of an issuer of ours, in any spelling: the links are the
    upstream's statements, and this server has not verified them.
    """
    links = list(links_of(act))
    if len(links) > LINKS_MAX or not all(_is_link(link, own_issuer) for link in links):
        return None
    chain: dict[str, Any] = {}
    for link in reversed(links):
        own_members = {name: value for name, value in link.items() if name != "act"}
        chain = {"iss": upstream_issuer} | own_members | ({"act": chain} if chain else {})
    return chain if len(json.dumps(chain)) <= ACT_BYTES_MAX else None


def links_of(act: object) -> Iterator[Any]:
    """Yield each link, the present actor first. A value that is no object is the last."""
    while True:
        yield act
        if not isinstance(act, Mapping) or "act" not in act:
            return
        act = act["act"]


def depth_of(chain: Mapping[str, Any] | None) -> int:
    """Return how many links a chain has."""
    return 0 if chain is None else sum(1 for _ in links_of(chain))


def _is_link(link: object, own_issuer: str) -> bool:
    if not isinstance(link, Mapping) or not _is_name(link.get("sub")):
        return False
    members = {name: value for name, value in link.items() if name != "act"}
    if not all(name.isprintable() and _is_plain(value) for name, value in members.items()):
        return False
    issuer = link.get("iss", "of the upstream")
    is_named = all(_is_name(link[name]) for name in ("iss", "sub_profile") if name in link)
    return is_named and issuer.isascii() and not is_issuer_of_ours(issuer, own_issuer)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and value.isprintable())


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= NAME_LENGTH_MAX and value.isprintable()


def is_issuer_of_ours(issuer: str, own_issuer: str) -> bool:
    """True when an issuer is one of this server's in any spelling, and when it cannot be parsed.

    Scheme, port, case, escapes, dots and slashes do not matter: readers of a log overlook them.
    """
    ours = _host_and_path(own_issuer.rpartition("/")[0])
    theirs = _host_and_path(issuer)
    if theirs is None or ours is None:
        return True
    return theirs[0] == ours[0] and f"{theirs[1]}/".startswith(f"{ours[1]}/")


def _host_and_path(url: str) -> tuple[str, str] | None:
    """Return the host and the path of a URL in their plainest form, or None where it cannot be parsed."""
    plain = url
    for _ in range(4):
        plain = unquote(plain)
    plain = plain.replace("\\", "/").strip().casefold()
    try:
        parts = urlsplit(plain if "://" in plain else f"//{plain.lstrip('/')}")
    except ValueError:
        return None
    return (parts.hostname or "").rstrip("."), normpath(f"/{parts.path.strip('/')}")
