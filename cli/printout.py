"""What `identity dev` prints: where it is ready, and commands to paste into a shell (sh, bash, zsh) as they stand."""

import shlex
import shutil
import sys
from pathlib import Path

from dev.demo.api import EXCHANGE, PATCH_OP, TOKEN_TYPES
from dev.example_tenant import RESOURCE, SCOPES, SLUG, ExampleTenant
from dev.installation import FILE
from dev.preparation import Prepared
from dev.supervisor import Ready

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
    """Return what there is to try, and what could not be done."""
    parts = []
    if prepared.story:
        tenant, txn = prepared.story["tenant"], prepared.story["txn"]
        parts += [f"\nThat was the tenant {tenant}. Its audit log: {program()} audit list {tenant} --txn {txn}"]
    if fault := _fault(prepared):
        parts += [fault]
    elif prepared.example is None and ready.admin_token is not None:
        parts += [f"For a tenant with people, agents and commands to try, start with: {program()} dev --story"]
    if commands := _commands(ready, prepared):
        parts += ["\n".join(_told(commands, prepared.sam_state))]
    return "\n\n".join([*parts, "Ctrl-C stops everything; what is kept stays in the data folder."])


def _fault(prepared: Prepared) -> str | None:
    """Return why there is no tenant to try."""
    if prepared.is_taken:
        told = "The tenant acme was made by an earlier version or by an administrator, and is left as it is."
        return f"{told} Another folder gets one to try: {program()} dev --story --data FOLDER"
    if prepared.fault:
        return f"The tenant acme is not whole; the next start goes on with it. {prepared.fault}"
    return None


def _commands(ready: Ready, prepared: Prepared) -> dict[str, str]:
    if prepared.example is None:
        return {}
    return commands_for(ready.base_url, ready.folder, prepared.example)


def commands_for(base_url: str, folder: Path, example: ExampleTenant) -> dict[str, str]:
    """Return the commands by name."""
    issuer = f"{base_url}/t/{SLUG}"
    return {
        "exchange": _exchange(issuer, folder, example),
        "introspect": _curl(f"{issuer}/oauth/introspect", "-u", _basic(example, "erp")) + ' -d "token=$TOKEN"',
        "deprovision": _set_active(issuer, example, "false"),
        "reactivate": _set_active(issuer, example, "true"),
    }


def _exchange(issuer: str, folder: Path, example: ExampleTenant) -> str:
    id_token = f"{program()} dev id-token sam --data {shlex.quote(str(folder))}"
    lines = [
        "TOKEN=$(" + _curl(f"{issuer}/oauth/token", "-u", _basic(example, "invoice-bot")),
        f"-d grant_type={EXCHANGE}",
        f"-d subject_token_type={TOKEN_TYPES['id_token']}",
        f'-d "subject_token=$({id_token})"',
        f"-d resource={RESOURCE} -d scope={SCOPES[0]} | {WITHOUT_THE_REST})",
    ]
    return " \\\n    ".join(lines) + '; echo "$TOKEN"'


def _set_active(issuer: str, example: ExampleTenant, active: str) -> str:
    body = f'{{"schemas":["{PATCH_OP}"],"Operations":[{{"op":"replace","path":"active","value":{active}}}]}}'
    lines = [
        _curl(f"{issuer}/scim/v2/Users/{example.ids['sam']}", "-X", "PATCH"),
        f"-H {shlex.quote(f'Authorization: Bearer {example.scim_token}')}",
        "-H 'Content-Type: application/scim+json'",
        f"-d {shlex.quote(body)}",
    ]
    return " \\\n    ".join(lines)


def _basic(example: ExampleTenant, name: str) -> str:
    return ":".join(example.clients[name])


def _curl(url: str, *arguments: str) -> str:
    return shlex.join(["curl", "-sS", "-w", r"\n", *arguments, url])


def program() -> str:
    """Return how this program was called, so that it works in any folder."""
    called = Path(sys.argv[0])
    if called.name != "identity":
        return f"{shlex.quote(sys.executable)} -m cli"
    found = shutil.which("identity")
    if found is not None and Path(found).samefile(shutil.which(sys.argv[0]) or called):
        return "identity"
    return shlex.quote(str(called.absolute()))


def _told(commands: dict[str, str], sam_state: str) -> list[str]:
    """Return the commands with what each does."""
    sentences = [
        ("exchange", "invoice-bot exchanges an ID token of Sam for a task token:"),
        ("introspect", f"{RESOURCE} asks whether the task token is still valid:"),
        ("deprovision", "The identity provider deprovisions Sam. Command 2 then answers false, and 1 is refused:"),
        ("reactivate", "The identity provider brings Sam back. Command 1 then yields a new task token:"),
    ]
    without_sam = {
        "deprovisioned": "Sam is deprovisioned now: begin with command 4.",
        "suspended": f"Sam is suspended now: {program()} agent reactivate {SLUG} sam@{SLUG}.example --kind user",
        "deleted": "Sam was deleted, and commands 1, 3 and 4 are of no use: start with another folder (--data).",
    }
    lines = ["Try next, in another terminal:"]
    if sam_state in without_sam:
        lines = [without_sam[sam_state], "", *lines]
    for number, (name, sentence) in enumerate(sentences, 1):
        lines += ["", f"{number}. {sentence}", "", *(f"  {line}" for line in commands[name].splitlines())]
    return lines
