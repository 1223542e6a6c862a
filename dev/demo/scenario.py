"""The state that the steps of the demo share, and the line that is printed for each step."""

import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
from rich.console import Console

from dev.demo.api import AgentClient, Api
from dev.demo.resource_servers import LedgerOfErp
from dev.demo.upstream import UpstreamIssuer

COLUMNS_MIN = 60
PEOPLE = ("dana", "sam")


@dataclass(slots=True)
class Scenario:
    """The state of one run: clients, ids by name, tokens."""

    http: httpx2.Client
    base_url: str
    admin: Api
    upstream: UpstreamIssuer
    console: Console
    tenant: str = ""
    scim: Api | None = None
    ids: dict[str, str] = field(default_factory=dict)
    agents: dict[str, AgentClient] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    """The URL of each resource server, by its audience."""
    erp: LedgerOfErp | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    txn: str = ""
    number: int = 0
    """The number of the present step."""

    @property
    def issuer(self) -> str:
        """The tenant's issuer."""
        return f"{self.base_url}/t/{self.tenant}"

    @property
    def names(self) -> dict[str, str]:
        """The name of each party, by its id; a person's as people write it."""
        return {id_: name.title() if name in PEOPLE else name for name, id_ in self.ids.items()}

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """Time a step and print its line. Yields a list; the notes that the block appends to it are printed below."""
        self.number += 1
        notes: list[str] = []
        started = time.perf_counter()
        yield notes
        spent_ms = (time.perf_counter() - started) * 1000
        self.console.print(
            f"[green]✓[/green] [bold]{self.number:>2}[/bold] {what} [dim]{spent_ms:,.0f} ms[/dim]", soft_wrap=True
        )
        for note in notes:
            self.console.print(f"[dim]{self._indented(note)}[/dim]", soft_wrap=True)

    def _indented(self, note: str) -> str:
        return textwrap.fill(
            note,
            max(self.console.width, COLUMNS_MIN),
            initial_indent=" " * 5,
            subsequent_indent=" " * 7,
            break_long_words=False,
            break_on_hyphens=False,
        )
