"""Every earlier version of the program, out of the repository's history, goes on serving while the schema is brought to
the head, and after it, beside this one. The long form only: it starts some thirty processes.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from server.schema import migrate
from tests.conftest import Server
from tests.fixtures import ERP
from tests.upgrade.earlier import ROOT, check_out, commits, process_of
from tests.upgrade.flows import Day, live_through
from tests.upgrade.test_migrations import application_url, heads

IS_LONG = "IDENTITY_PROVE_FAULTS" in os.environ
TOGETHER = frozenset({"revoke_from_public", "order_outbox", "count_by_row", "mend_holds", "say_what_is_served",
                      "count_narrowings"})  # fmt: skip
"""Heads whose last program and this one may serve one tenant at the same time. What an earlier one writes this one does
not read right. It writes no ``nested_in`` and no ``source_id`` of a membership, no epoch of a task, no end counter.
"""

NEVER_LAST = frozenset({"mend_holds"})
"""Heads that no commit had: several steps came with one."""


def test_which_heads_are_tried() -> None:
    assert TOGETHER.issubset(heads())


if IS_LONG:

    def test_the_history_has_a_program_for_every_head() -> None:
        assert set(heads()) - commits().keys() == NEVER_LAST, "the history is not all here: fetch it whole"

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("head", [head for head in heads() if head not in NEVER_LAST])
    def test_an_earlier_program_serves_on(head: str, empty_owner_url: str, server: Server, tmp_path: Path) -> None:
        migrate(empty_owner_url, head)
        url = application_url(server, empty_owner_url)
        with process_of(check_out(commits()[head], tmp_path), url) as old:
            with living(old) as days:
                migrate(empty_owner_url)
                days.wait_for_one_more()
            print(f"{head}: {days}")
            assert days.faults == []
            assert days.slowest_s < 1
            live_through(Day([old]))
            with process_of(ROOT, url) as new:
                assert new.get("/readyz").status_code == 200
                live_through(Day([new]))
                live_through(Day([old]))
                if heads().index(head) < heads().index("post_client_secrets"):
                    read_a_client_that_posts_its_secret(old, new)
                if head in TOGETHER:
                    live_through(Day([old, new]))
                    live_through(Day([new, old]))


def read_a_client_that_posts_its_secret(old: httpx2.Client, new: httpx2.Client) -> None:
    """Register it with this program; an earlier one lists it, and lets it in by HTTP Basic."""
    day = Day([new])
    day.begin()
    day.register("poster", {"audience": ERP, "token_endpoint_auth_method": "client_secret_post"})
    day.https = [old]
    found = {each["client_name"]: each for each in day.admin("GET", "/clients", status=200)["items"]}
    assert found["poster"]["token_endpoint_auth_method"] == "client_secret_basic"
    path = f"/t/{day.slug}/oauth/introspect"
    assert day.ask("POST", path, status=200, data={"token": "x"}, auth=day.clients["poster"]) == {"active": False}


class Days:
    """Whole days that threads live through, one after the other."""

    def __init__(self) -> None:
        self.lived: list[Day] = []
        self.faults: list[str] = []

    @property
    def slowest_s(self) -> float:
        """The longest that anybody waited for an answer, in seconds."""
        return max(day.slowest_s for day in self.lived)

    def wait_for_one_more(self, deadline_s: float = 60) -> None:
        """Wait until two more days are over: one of them began after this."""
        wanted, deadline = len(self.lived) + 4, time.monotonic() + deadline_s
        while len(self.lived) < wanted and not self.faults:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def __str__(self) -> str:
        calls, put_off = (sum(getattr(day, name) for day in self.lived) for name in ("calls", "put_off"))
        return f"{len(self.lived)} days, {calls} requests, {put_off} put off, slowest {self.slowest_s:.3f} s"


@contextmanager
def living(http: httpx2.Client, threads: int = 3) -> Iterator[Days]:
    """Live day after day in each thread, until the block ends; it begins when each has lived one."""
    days, stopped = Days(), threading.Event()

    def live() -> None:
        while not stopped.is_set() and not days.faults:
            day = Day([http])
            try:
                live_through(day)
            except Exception as error:
                days.faults.append(repr(error))
            days.lived.append(day)

    crowd = [threading.Thread(target=live) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    try:
        days.wait_for_one_more()
        yield days
    finally:
        stopped.set()
        for thread in crowd:
            thread.join()
