"""The output of `identity dev`: its address, and commands to paste into a shell (sh, bash, zsh)."""

import shlex
import shutil
import sys
from pathlib import Path

from dev.demo.api import EXCHANGE, TOKEN_TYPES
from dev.example_tenant import (
    NEXT_RESOURCE,
    NEXT_SCOPES,
    RESOURCE,
    SCOPES,
    SECOND_SERVICE,
    SLUG,
    ExampleTenant,
)
from dev.installation import FILE
from dev.preparation import Prepared
from dev.supervisor import Ready
from scim.patch.request import PATCH_SCHEMA

CONTINUED = " \\\n  "
# The answer without its token is the error, which is then what is printed.
WITHOUT_THE_REST = r"""sed -E 's/.*"access_token": ?"([^"]+)".*/\1/'"""


def document(ready: Ready, prepared: Prepared) -> dict[str, object]:
    """Return what ``--json`` prints."""
    return {
        "base_url": ready.base_url,
        "data": str(ready.folder),
        "took_s": round(ready.took_s, 2),
        "admin_token": None if ready.admin_token_is_given else ready.admin_token,
        "commands": _commands(ready, prepared),
        "fault": _fault(prepared),
    }


def greeting(ready: Ready) -> str:
    """Return where it is ready, and whose token administers it."""
    first = f"Identity Foundation is ready at {ready.base_url} ({ready.took_s:.1f} s).  Data: {ready.folder}"
    return "\n".join([first, "", *_token_lines(ready), ""])


def _token_lines(ready: Ready) -> list[str]:
    if ready.admin_token_is_given:
        return ["Administrator's token: that of IDENTITY_ADMIN_TOKEN, which commands in another terminal need too."]
    if ready.admin_token is None:
        return [
            "Administrator's token: an earlier version printed it once and kept its hash, and it still works.",
            f"For a new one that is kept: delete the line admin_token_sha256 from {ready.folder / FILE}, start again.",
        ]
    elsewhere = f"set IDENTITY_DATA={shlex.quote(str(ready.folder))}"
    if ready.folder == Path(".data").resolve():
        where = f"In {ready.folder.parent} `identity` finds it, and this URL, by itself; elsewhere {elsewhere}"
    else:
        where = f"For `identity` to find it, and this URL: {elsewhere}"
    return [f"Administrator's token: {ready.admin_token}", where]


def what_next(ready: Ready, prepared: Prepared) -> str:
    """Return the commands to try, and the faults of the start."""
    parts = []
    if prepared.story:
        tenant, txn = prepared.story["tenant"], prepared.story["txn"]
        parts += [f"\nThat was the tenant {tenant}. The audit log of Sam's task there:"]
        parts += [f"  {program()} audit list {tenant} --txn {txn}"]
    if fault := _fault(prepared):
        parts += [fault]
    elif prepared.example is None and ready.admin_token is not None:
        parts += [f"For a tenant with people, agents and commands to try, start with: {program()} dev --story"]
    if commands := _commands(ready, prepared):
        parts += ["\n".join(_numbered(commands, prepared.sam_state))]
    return "\n\n".join([*parts, "Ctrl-C stops everything; what is kept stays in the data folder."])


def _fault(prepared: Prepared) -> str | None:
    """Return why there is no tenant to try."""
    if prepared.is_taken:
        taken = "The tenant acme was made by an earlier version or by an administrator, and is left as it is."
        return f"{taken} Another folder gets one to try: {program()} dev --story --data FOLDER"
    if prepared.fault:
        return f"The tenant acme is not whole; the next start goes on with it. {prepared.fault}"
    return None


def _commands(ready: Ready, prepared: Prepared) -> dict[str, str]:
    if prepared.example is None:
        return {}
    return commands_for(ready.base_url, ready.folder, prepared.example)


def commands_for(base_url: str, folder: Path, example: ExampleTenant) -> dict[str, str]:
    """Return the commands by name; those of the second service only where the tenant has one."""
    issuer = f"{base_url}/t/{SLUG}"
    id_token = f"$({program()} dev id-token sam --data {shlex.quote(str(folder))})"
    exchanged = _exchanged(issuer, example, "invoice-bot", ("id_token", id_token), RESOURCE, SCOPES[0])
    commands = {
        "exchange": _assigned("TOKEN", exchanged),
        "introspect": _introspect(issuer, example, "erp", "$TOKEN"),
        "deprovision": _set_active(issuer, example, "false"),
        "reactivate": _set_active(issuer, example, "true"),
    }
    if SECOND_SERVICE in example.clients:
        subject = ("access_token", "$TOKEN")
        exchanged = _exchanged(issuer, example, "erp", subject, NEXT_RESOURCE, NEXT_SCOPES[0])
        commands["exchange_next"] = _assigned("NEXT_TOKEN", exchanged)
        commands["introspect_next"] = _introspect(issuer, example, SECOND_SERVICE, "$NEXT_TOKEN")
    return commands


def _assigned(variable: str, value: str) -> str:
    return f'{variable}={value}; echo "${variable}"'


def _exchanged(
    issuer: str, example: ExampleTenant, client: str, subject: tuple[str, str], resource: str, scope: str
) -> str:
    """Return a command substitution: the token that a client gets for a subject token, or the error."""
    token_type, token = subject
    call = _curl(
        f"{issuer}/oauth/token",
        _basic(example, client),
        f"-d grant_type={EXCHANGE}",
        f"-d subject_token_type={TOKEN_TYPES[token_type]}",
        f'-d "subject_token={token}"',
        f"-d resource={resource} -d scope={scope}",
        f"| {WITHOUT_THE_REST}",
    )
    return f"$({call})"


def _introspect(issuer: str, example: ExampleTenant, client: str, token: str) -> str:
    return _curl(f"{issuer}/oauth/introspect", _basic(example, client), f'-d "token={token}"')


def _set_active(issuer: str, example: ExampleTenant, active: str) -> str:
    body = f'{{"schemas":["{PATCH_SCHEMA}"],"Operations":[{{"op":"replace","path":"active","value":{active}}}]}}'
    return _curl(
        f"{issuer}/scim/v2/Users/{example.ids['sam']}",
        "-X PATCH",
        f"-H {shlex.quote(f'Authorization: Bearer {example.scim_token}')}",
        "-H 'Content-Type: application/scim+json'",
        f"-d {shlex.quote(body)}",
    )


def _basic(example: ExampleTenant, name: str) -> str:
    return f"-u {shlex.quote(':'.join(example.clients[name]))}"


def _curl(url: str, *arguments: str) -> str:
    """Return a call of curl, with each argument on a line of its own."""
    return CONTINUED.join([f"curl -sS -w '\\n' {shlex.quote(url)}", *arguments])


def program() -> str:
    """Return how this program was called, so that it works in any folder."""
    called = Path(sys.argv[0])
    if called.name != "identity":
        return f"{shlex.quote(sys.executable)} -m cli"
    found = shutil.which("identity")
    if found is not None and Path(found).samefile(shutil.which(sys.argv[0]) or called):
        return "identity"
    return shlex.quote(str(called.absolute()))


def _numbered(commands: dict[str, str], sam_state: str) -> list[str]:
    """Return the commands with what each does."""
    sentences = {
        "exchange": "invoice-bot exchanges an ID token of Sam for a task token:",
        "introspect": f"{RESOURCE} asks whether the task token is still valid:",
        "deprovision": "The identity provider deprovisions Sam. Command 2 then answers false, and 1 is refused:",
        "reactivate": "The identity provider brings Sam back. Command 1 then yields a new task token:",
        "exchange_next": f"To go on to {NEXT_RESOURCE} for Sam, {RESOURCE} exchanges the task token:",
        "introspect_next": f"{NEXT_RESOURCE} asks whether its token is still valid. After command 3 it is not:",
    }
    without_sam = {
        "deprovisioned": "Sam is deprovisioned now: begin with command 4.",
        "suspended": f"Sam is suspended now: {program()} agent reactivate {SLUG} sam@{SLUG}.example --kind user",
        "deleted": "Sam was deleted, and these commands are of no use: start with another folder (--data).",
    }
    lines = ["Try next, in another terminal:"]
    if sam_state in without_sam:
        lines = [without_sam[sam_state], "", *lines]
    for number, (name, command) in enumerate(commands.items(), 1):
        lines += ["", f"{number}. {sentences[name]}", "", *(f"  {line}" for line in command.splitlines())]
    return lines
