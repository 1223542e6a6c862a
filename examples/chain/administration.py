"""The set-up of each tenant: `identity` commands, and a directory pushed by SCIM."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.chain.client import Client, send

WORKER_LIFETIME_S = 8  # so short that its tokens expire while they are queued
COMMANDS = """
connection create {tenant} --kind oidc --name sign-in --issuer https://development-issuer.invalid --jwks @{jwks}
    --audience portal --match externalId --provisioned-by directory

resource register {tenant} https://documents.example --scope documents.list --scope documents.read
resource register {tenant} https://worker.example --scope work --run-by worker
resource register {tenant} https://summarizer.example --scope summarize --run-by summarizer
resource-pair register {tenant} https://summarizer.example https://worker.example --scope summarize work
resource-pair register {tenant} https://worker.example https://documents.example --scope work documents.read

delegation grant {tenant} --group Staff --actor orchestrator --resource https://documents.example
    --scope documents.list --max-depth 1
delegation grant {tenant} --group Staff --actor orchestrator --resource https://summarizer.example
    --scope summarize --max-depth 3
delegation grant {tenant} --group Staff --actor summarizer --resource https://worker.example
    --scope work --max-depth 2
delegation grant {tenant} --group Staff --actor worker --resource https://documents.example
    --scope documents.read --max-depth 1 --max-lifetime-s {worker_lifetime_s}
"""
CLIENTS = {
    "orchestrator": "--principal orchestrator",
    "summarizer": "--principal summarizer --audience https://summarizer.example",
    "worker": "--principal worker --audience https://worker.example",
    "documents": "--audience https://documents.example",
}
PEOPLE, OWNER, AGENTS = ("sam", "dana"), "olga", ("orchestrator", "summarizer", "worker")


def identity(command: str) -> Any:
    """Run a command of `identity`, which finds the `identity dev` that runs, and says itself why it fails."""
    words = [sys.executable, "-m", "cli", *shlex.split(command), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else sys.exit(done.returncode)


def set_up(tenant: str) -> dict[str, Client]:
    """Make a tenant; return the client of each part there."""
    issuer = identity(f"tenant create {tenant}")["issuer"]
    push_directory(identity(f"connection create {tenant} --kind scim --name directory"))
    folder = Path(os.environ.get("IDENTITY_DATA") or ".data").resolve()
    jwks = shlex.quote(str(folder / "development_issuer.jwks"))
    for command in COMMANDS.replace("\n    ", " ").split("\n"):
        if command:
            identity(command.format(tenant=tenant, jwks=jwks, worker_lifetime_s=WORKER_LIFETIME_S))
    made = {part: identity(f"client create {tenant} {words}") for part, words in CLIENTS.items()}
    return {part: Client(issuer, client["client_id"], client["client_secret"]) for part, client in made.items()}


def push_directory(connection: dict[str, str]) -> None:
    """Push two people in a group, and three agents that a third person owns, in one Bulk of SCIM."""
    members, owners = ([{"value": f"bulkId:{name}"} for name in names] for names in (PEOPLE, [OWNER]))
    operations = [
        *(creation("User", name, userName=f"{name}@example.com", active=True) for name in (*PEOPLE, OWNER)),
        creation("Group", "staff", displayName="Staff", members=members),
        *(creation("Agent", name, agentUserName=name, active=True, owners=owners) for name in AGENTS),
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    headers = {"Authorization": f"Bearer {connection['token']}"}
    answer = send("POST", f"{connection['scim_base_url']}/Bulk", json=body, headers=headers)
    if refused := [operation for operation in answer["Operations"] if operation["status"] != "201"]:
        sys.exit(f"the directory was not taken: {refused}")


def creation(kind: str, name: str, **attributes: Any) -> dict[str, Any]:
    data = {"schemas": [f"urn:ietf:params:scim:schemas:core:2.0:{kind}"], "externalId": name, **attributes}
    return {"method": "POST", "path": f"/{kind}s", "bulkId": name, "data": data}
