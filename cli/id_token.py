"""``identity dev id-token``: an ID token of the development issuer for one user."""

import os
import shlex
from pathlib import Path
from typing import Any

from cli.output import answer
from cli.problems import CONFLICT, NOT_FOUND, Refused, close_names, hint, printable
from cli.remote import Remote, items_of, remote_at
from cli.sources import Access, check_token, running_dev
from dev.installation import BrokenFolderError
from dev.issuer import JWKS_FILE, open_issuer
from identity.model.connection import DEVELOPMENT_ISSUER, Match

LOOKED_AT_MAX = 1000  # users whose names are compared with a part of a name


def show_id_token(named: str, tenant: str, folder: Path) -> None:
    """Print an ID token of a user. Raises ``Refused``."""
    access = running_dev(folder)
    kept = access.admin_token
    origin = f"`identity dev` with {folder}" if kept else "IDENTITY_ADMIN_TOKEN"
    given = Access(access.url, kept or os.environ.get("IDENTITY_ADMIN_TOKEN", ""), origin)
    check_token(given.token, given.origin)
    remote = remote_at(given)
    connection = _connection(remote, tenant, folder)
    user = _user(remote, tenant, named)
    subject = _subject(user, connection)
    try:
        issuer = open_issuer(folder)
    except BrokenFolderError as error:
        raise Refused(str(error), 1) from error
    token = issuer.id_token(subject, connection["audiences"][0], connection["subject_claim"])
    answer({"id_token": token, "user": user["name"], "issuer": DEVELOPMENT_ISSUER}, token)


def _connection(remote: Remote, tenant: str, folder: Path) -> dict[str, Any]:
    found = items_of(remote.pages(f"/tenants/{tenant}/connections", limit=LOOKED_AT_MAX))
    trusting = [one for one in found if one["issuer"] == DEVELOPMENT_ISSUER and one["ended_at"] is None]
    if not trusting:
        raise Refused(
            f"no connection of {tenant} trusts the development issuer; make one:\n"
            f"  identity connection create {tenant} --kind oidc --name development-sign-in "
            f"--issuer {DEVELOPMENT_ISSUER} --jwks {shlex.quote(f'@{folder / JWKS_FILE}')} --audience portal "
            "--match externalId --provisioned-by SCIM_CONNECTION_ID",
            NOT_FOUND,
        )
    connection: dict[str, Any] = trusting[0]
    return connection


def _user(remote: Remote, tenant: str, named: str) -> dict[str, Any]:
    """Return the one user of that name, or whose name begins with it before the @."""
    path = f"/tenants/{tenant}/principals"
    exact: list[dict[str, Any]] = remote.get(path, kind="user", name=named, limit=2)["items"]
    if len(exact) == 1:
        return exact[0]
    users = exact or items_of(remote.pages(path, limit=LOOKED_AT_MAX, kind="user"))
    names = {one["name"]: one for one in users}
    meant = [name for name in names if name.partition("@")[0].lower() == named.lower()]
    if len(exact or meant) > 1:
        candidates = ", ".join(map(printable, [one["id"] for one in exact] or meant))
        raise Refused(f"more than one user of {tenant} is called {named!r}: {candidates}", CONFLICT)
    if not meant:
        spellings = {name.partition("@")[0].lower(): name for name in names} | {name.lower(): name for name in names}
        close = map(printable, close_names(named, spellings))
        raise Refused(f"there is no user {named!r} in {tenant}{hint(close)}", NOT_FOUND)
    return names[meant[0]]


def _subject(user: dict[str, Any], connection: dict[str, Any]) -> str:
    """Return what the connection's subject claim must say to mean the user."""
    name = f"the connection {printable(connection['name'])!r}"
    if connection["match"] != Match.EXTERNAL_ID:
        raise Refused(f"{name} matches people by subject; an ID token is made where it is by externalId", CONFLICT)
    if user["external_id"] is None or user["connection_id"] != connection["provisioned_by"]:
        raise Refused(f"{printable(user['name'])} has no externalId of the source that {name} names", CONFLICT)
    return str(user["external_id"])
