"""The work of a start after all is ready: it completes the example tenant, and runs the demo scenario once.

An error does not stop the start. It is printed, and the next start tries again.
"""

import sys
from dataclasses import dataclass, field

import httpx2

from dev.demo.api import StepError
from dev.example_tenant import ExampleTenant, TenantTakenError, make_example, read_example, sam_state
from dev.installation import BrokenFolderError
from dev.issuer import open_issuer
from dev.supervisor import Ready
from server.private_files import write_private

STORY_PLAYED = "story_played"


@dataclass(slots=True)
class Prepared:
    """The tenant to try, and the faults of its making."""

    example: ExampleTenant | None = None
    sam_state: str = ""
    story: dict[str, str] = field(default_factory=dict)
    """The tenant and the task of the story, where it was played now."""
    is_taken: bool = False
    """Another tenant `acme` is there."""
    fault: str = ""


def prepare(ready: Ready, *, story: bool, quiet: bool) -> Prepared:
    """Make the example tenant where ``story`` is true or an earlier start has begun it; run the scenario once."""
    prepared = Prepared()
    try:
        _make(prepared, ready, begins=story)
    except TenantTakenError:
        prepared.is_taken = True
    except (StepError, BrokenFolderError, httpx2.RequestError) as error:
        prepared.fault = f"{type(error).__name__}: {error}"
    if story and ready.admin_token is not None:
        prepared.story = _play_once(ready, quiet=quiet)
    return prepared


def _make(prepared: Prepared, ready: Ready, *, begins: bool) -> None:
    issuer = open_issuer(ready.folder)  # also for tenants that are made by hand
    if ready.admin_token is None or not (begins or read_example(ready.folder)):
        return
    example = make_example(ready.folder, ready.base_url, ready.admin_token, issuer)
    prepared.sam_state = sam_state(ready.base_url, ready.admin_token, example)
    prepared.example = example


def _play_once(ready: Ready, *, quiet: bool) -> dict[str, str]:
    played = ready.folder / STORY_PLAYED
    found = {} if played.exists() else play_story(ready, quiet=quiet) or {}
    if found:
        write_private(played, "")
    return found


def play_story(ready: Ready, *, quiet: bool) -> dict[str, str] | None:
    """Return the story's tenant and task, or None when a step did not end as it should."""
    from rich.console import Console  # noqa: PLC0415 - most starts play no story

    from dev.demo.steps import play  # noqa: PLC0415

    try:
        return play(ready.base_url, ready.admin_token or "", Console(quiet=quiet, highlight=False))
    except (StepError, httpx2.RequestError) as error:
        print(f"The story stopped: {type(error).__name__}: {error}", file=sys.stderr)
        return None
