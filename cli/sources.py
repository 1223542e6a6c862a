"""The sources of an installation's URL and token: options, the environment, a profile, and at last an `identity dev`
that runs with the default folder.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from cli.problems import NOT_AUTHENTICATED, UNREACHABLE, Refused
from cli.profiles import default_name, profile_file, profile_names, read_profile
from config.settings import is_loopback
from dev.access import Access as DevAccess
from dev.access import access_of, default_folder, token_for, url_here

URL = "http://127.0.0.1:8080"
URL_KEY, PROFILE_KEY = "cli.url", "cli.profile"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The URL that options or the environment name, the source of that URL, and the profile of an option."""

    url: str | None
    named_by: str
    profile: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """An installation, the token that is sent to it, and where the token came from, in words."""

    url: str
    token: str
    origin: str


Source = Callable[[Wanted], Access | None]
"""Return an access, or None to leave it to the next source. A token goes to the URL that it was made for alone."""


def of_named_profile(wanted: Wanted) -> Access | None:
    """The profile that ``--profile`` names."""
    if wanted.profile is None:
        return None
    found = of_profile_called(wanted.profile)
    if found is None:
        words = f"there is no profile {wanted.profile!r}: identity login URL --profile {wanted.profile}"
        raise Refused(words, NOT_AUTHENTICATED, code="no_profile")
    if wanted.named_by == "--url" and wanted.url != found.url:
        raise Refused(f"the profile {wanted.profile!r} is for {found.url}, and its token is sent there alone", 2)
    return found


def of_environment(wanted: Wanted) -> Access | None:
    """IDENTITY_ADMIN_TOKEN, for IDENTITY_URL; where that is not set, for the URL that is wanted or for this machine."""
    token, url = os.environ.get("IDENTITY_ADMIN_TOKEN"), os.environ.get("IDENTITY_URL")
    if not token or (url and wanted.url != checked_url(url, "IDENTITY_URL")):
        return None
    return Access(wanted.url or url_here() or URL, token, "IDENTITY_ADMIN_TOKEN")


def of_profile(wanted: Wanted) -> Access | None:
    """The profile for the URL that is wanted, else the default one."""
    if wanted.url is None:
        return of_profile_called(default_name())
    names = sorted(profile_names(), key=lambda name: name != default_name())
    kept = (of_profile_called(name) for name in names)
    return next((found for found in kept if found is not None and found.url == wanted.url), None)


def of_profile_called(name: str) -> Access | None:
    """One profile."""
    profile = read_profile(name)
    if profile is None:
        return None
    url = checked_url(profile.url, f"the URL in {profile_file(name)}")
    return Access(url, profile.token, f"the profile {name!r} ({profile_file(name)})")


def of_development(wanted: Wanted) -> Access | None:
    """The `identity dev` that runs with the default folder."""
    url = wanted.url or url_here()
    token = None if url is None else token_for(url)
    return None if url is None or token is None else Access(url, token, f"`identity dev` with {default_folder()}")


def running_dev(folder: Path) -> DevAccess:
    """Return how the `identity dev` that runs with a folder is reached. Raises ``Refused``."""
    access = access_of(folder)
    if access is None:
        raise Refused(f"no `identity dev` is ready with {folder}: start it, or name its folder: --data", UNREACHABLE)
    return access


def wanted_access() -> Wanted:
    """Return the installation that the options and IDENTITY_URL name. Raises ``Refused`` for an unusable URL."""
    meta = click.get_current_context().meta
    option = meta.get(URL_KEY)
    url, named_by = (option, "--url") if option else (os.environ.get("IDENTITY_URL") or None, "IDENTITY_URL")
    return Wanted(None if url is None else checked_url(url, named_by), named_by, meta.get(PROFILE_KEY))


SOURCES: tuple[Source, ...] = (of_named_profile, of_environment, of_profile, of_development)
"""In this order; the first that has a token for the installation that is wanted."""


def find_access(wanted: Wanted) -> Access:
    """Return the access of the first of ``SOURCES`` that has one. Raises ``Refused``."""
    found = next((access for source in SOURCES if (access := source(wanted)) is not None), None)
    if found is None:
        url = wanted.url or url_here() or URL
        raise Refused(
            f"there is no token for {url}: run `identity login {url}`, set IDENTITY_ADMIN_TOKEN, or start "
            "`identity dev` in this folder",
            NOT_AUTHENTICATED,
            code="no_token",
        )
    check_token(found.token, found.origin)
    return found


def check_token(token: str, origin: str) -> None:
    """Raise ``Refused`` for what no header can carry."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(f"the token from {origin} contains invalid characters", NOT_AUTHENTICATED, code="invalid_token")


def checked_url(url: str, named_by: str) -> str:
    """Return the URL of an installation, without a slash at its end. Raises ``Refused``."""
    if "://" not in url:
        raise Refused(f"{named_by} has no scheme: write https://{url.strip() or 'HOST'}, or http://127.0.0.1:8080", 1)
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or not parts.hostname or parts.query or parts.fragment:
        raise Refused(f"{named_by} must be the installation's https:// URL, such as https://id.example", 1)
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{named_by} must not hold a user name or password", 1)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise Refused(f"{named_by} must be https:// unless it is this machine: the token would travel in clear", 1)
    return url
