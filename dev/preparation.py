"""What a start does once all is ready: it makes the example tenant, or goes on with it, and plays the story once.

Neither stops the start: what went wrong is told, and the next start tries again.
"""

import sys
from dataclasses import dataclass, field

import httpx2

from dev.demo.api import StoryError
from dev.example_tenant import ExampleTenant, TenantTakenError, make_example, read_example, sam_state
from dev.installation import BrokenFolderError
from dev.issuer import open_issuer
from dev.supervisor import Ready
from server.private_files import write_private

STORY_PLAYED = "story_played"


@dataclass(slots=True)
class Prepared:
    """What there is to try, and what could not be done."""

    example: ExampleTenant | None = None
    sam_state: str = ""
    story: dict[str, str] = field(default_factory=dict)
    """The tenant and the task of the story, where it was played now."""
    is_taken: bool = False
    """Another tenant `acme` is there."""
    fault: str = ""


def prepare(ready: Ready, *, story: bool, quiet: bool) -> Prepared:
    """Make the example tenant where ``story`` asks for it or an earlier start has begun it; play the story once."""
    prepared = Prepared()
    try:
        _make(prepared, ready, begins=story)
    except TenantTakenError:
        prepared.is_taken = True
    except (StoryError, BrokenFolderError, httpx2.RequestError) as error:
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

    from dev.demo.story import play  # noqa: PLC0415

    try:
        return play(ready.base_url, ready.admin_token or "", Console(quiet=quiet, highlight=False))
    except (StoryError, httpx2.RequestError) as error:
        print(f"The story stopped: {type(error).__name__}: {error}", file=sys.stderr)
        return None
