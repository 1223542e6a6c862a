"""While one tenant floods, what does another get that sends steadily? Run by hand: ``python -m benchmarks.fairness``.

The flood comes over loopback from a process of its own, for a few seconds of each kind; the other tenant's requests are
sent when they are due, whether the earlier ones were answered or not, and their time is counted from then.
"""

import http.client
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, islice
from statistics import quantiles
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import EXTERNAL_URL, database, environment_of
from benchmarks.directory import ADMINISTRATOR, USER, Directory, plant_directory
from benchmarks.load import Slice, run_load
from benchmarks.measure import HOST, load_process
from benchmarks.request import Request, scim
from benchmarks.serving import serving
from benchmarks.stage import settle
from config.app import make_runtime
from config.settings import Settings, load_settings
from identity.actions.connections import create_scim_connection
from identity.actions.tenants import resolve_tenant
from identity.model.connection import Dialect
from identity.model.ids import PLATFORM
from identity.store.transaction import transaction

CONNECTIONS = 20  # of the tenant that floods, each with a token of its own
SENDERS = 64  # connections over which the flood comes, all busy at once
PREPARED = 30_000  # requests of a flood; the same again when they are used up
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_OPERATIONS = 100
QUEUE_TIMEOUT_S = 30
HEADS = ("answered/s", "granted/s", "granted to the other", "p50 ms", "p95 ms", "max ms")

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Tenants:
    """Who floods, with which tokens, and who only wants its own."""

    flooding: Directory
    tokens: Sequence[str]
    steady: Directory


@dataclass(frozen=True, slots=True)
class Steady:
    """What the steady tenant got. Seconds."""

    due: int
    granted: int
    latencies_s: Sequence[float]

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of the time to an answer."""
        return quantiles(self.latencies_s, n=100)[percent - 1] * 1_000


# --- floods ---


def reads(tenants: Tenants) -> Iterator[Request]:
    """Users by id, with the valid tokens of many connections."""
    for token, user_id in zip(cycle(tenants.tokens), cycle(tenants.flooding.users), strict=False):
        yield scim("GET", f"/t/{tenants.flooding.slug}/scim/v2/Users/{user_id}", token)


def guesses(tenants: Tenants) -> Iterator[Request]:
    """Unknown tokens."""
    while True:
        yield scim("GET", f"/t/{tenants.flooding.slug}/scim/v2/Users", f"idf_scim_{secrets.token_urlsafe(32)}")


def searches(tenants: Tenants) -> Iterator[Request]:
    """Filters that no index answers."""
    query = quote('title co "zz" or nickName co "zz" or locale co "zz"')
    for token in cycle(tenants.tokens):
        yield scim("GET", f"/t/{tenants.flooding.slug}/scim/v2/Users?filter={query}", token)


def bulks(tenants: Tenants) -> Iterator[Request]:
    """Bulks that create users."""
    numbers = count()
    for token in cycle(tenants.tokens):
        operations: list[dict[str, Any]] = [
            {"method": "POST", "path": "/Users", "bulkId": f"b{number}",
             "data": {"schemas": [USER], "userName": f"flood-{number}"}}
            for number in islice(numbers, BULK_OPERATIONS)
        ]  # fmt: skip
        body = {"schemas": [BULK], "Operations": operations}
        yield scim("POST", f"/t/{tenants.flooding.slug}/scim/v2/Bulk", token, body)


def everything(tenants: Tenants) -> Iterator[Request]:
    """All of these in turn."""
    for each in zip(reads(tenants), guesses(tenants), searches(tenants), bulks(tenants), strict=False):
        yield from each


FLOODS = {
    "valid tokens of many connections": reads,
    "guessed tokens": guesses,
    "filters without an index": searches,
    f"Bulks of {BULK_OPERATIONS}": bulks,
    "all of these": everything,
}


def prepared(requests: Iterator[Request]) -> list[bytes]:
    """Build what is sent before anything is measured; Bulks are large, so that fewer are enough."""
    found, size = [], 0
    for request in islice(requests, PREPARED):
        found.append(request.to_bytes(HOST))
        size += len(found[-1])
        if size > 20_000_000:
            break
    return found


# --- the steady tenant ---


class Asker:
    """Threads that send the steady tenant's requests when they are due, each over a connection of its own."""

    def __init__(self, port: int, requests: Iterator[Request]) -> None:
        self._port, self._requests, self._own = port, requests, threading.local()

    def run(self, per_s: float, seconds: float) -> Steady:
        """Ask ``per_s`` times a second for some seconds."""
        due = int(per_s * seconds)
        with ThreadPoolExecutor(due) as threads:
            begin = time.perf_counter()
            answers = [self._due(threads, begin + number / per_s) for number in range(due)]
            seen = [answer.result() for answer in answers]
        granted = [took_s for took_s, is_granted in seen if is_granted]
        return Steady(due, len(granted), [took_s for took_s, _ in seen])

    def _due(self, threads: ThreadPoolExecutor, at: float) -> Future[tuple[float, bool]]:
        time.sleep(max(0.0, at - time.perf_counter()))
        return threads.submit(self._ask, next(self._requests), at)

    def _ask(self, request: Request, due: float) -> tuple[float, bool]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=QUEUE_TIMEOUT_S)
        connection.request(request.method, request.path, request.body or None, request.headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return time.perf_counter() - due, answer.status == 200


def steady_requests(directory: Directory) -> Iterator[Request]:
    """What an identity provider does: it reads users and changes some."""
    path, numbers = f"/t/{directory.slug}/scim/v2/Users", count()
    patch_op = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    for user_id in cycle(directory.users):
        yield scim("GET", f"{path}/{user_id}", directory.scim_token)
        change = {"op": "replace", "path": "title", "value": f"Clerk {next(numbers)}"}
        yield scim("PATCH", f"{path}/{user_id}", directory.scim_token, {"schemas": [patch_op], "Operations": [change]})


# --- the run ---


def plant(settings: Settings, owner_url: str, users: int) -> Tenants:
    """Load both tenants, and give the one that floods its connections."""
    runtime = make_runtime(settings)
    flooding, steady = (
        plant_directory(runtime.engine, EXTERNAL_URL, runtime.encryption, users=users) for _ in range(2)
    )
    tokens = [f"idf_scim_{secrets.token_urlsafe(32)}" for _ in range(CONNECTIONS)]
    with transaction(runtime.engine, PLATFORM) as tx:
        tenant_id = resolve_tenant(tx, flooding.slug).id
    with transaction(runtime.engine, tenant_id) as tx:
        for number, token in enumerate(tokens):
            create_scim_connection(
                tx, name=f"source {number}", dialect=Dialect.RFC, token=token, caller=ADMINISTRATOR,
                now=datetime.now(UTC),
            )  # fmt: skip
    runtime.engine.dispose()
    settle(owner_url)
    return Tenants(flooding, tokens, steady)


def flood(load: ProcessPoolExecutor, port: int, requests: list[bytes], seconds: float) -> Future[Slice]:
    """Begin to flood."""
    return load.submit(run_load, port, requests, SENDERS, seconds, 200)


@click.command()
@click.option("--users", type=click.IntRange(100), default=2_000, show_default=True, help="Of each tenant.")
@click.option("--seconds", type=click.FloatRange(1, 60), default=10, show_default=True, help="Of each flood.")
@click.option("--per-s", type=click.FloatRange(1, 100), default=30, show_default=True, help="Of the other tenant.")
def main(users: int, seconds: float, per_s: float) -> None:
    """Show what a steady tenant gets while another floods."""
    table = Table("flood", *HEADS)
    with database(None) as postgres:
        key = b64encode(secrets.token_bytes(32)).decode()
        settings = load_settings(
            database_url=postgres.application_url, external_url=EXTERNAL_URL, key_encryption_key=key
        )
        tenants = plant(settings, postgres.owner_url, users)
        with (
            serving("cli", "serve", "--port", ready="/readyz", environment=environment_of(settings)) as served,
            load_process() as load,
        ):
            asker = Asker(served.port, steady_requests(tenants.steady))
            asker.run(per_s, 2)  # the process learns the tenant
            table.add_row("none", "", "", *row_of(asker.run(per_s, seconds)))
            for name, requests in FLOODS.items():
                ready = prepared(requests(tenants))
                flooding = flood(load, served.port, ready, seconds + 1)
                time.sleep(0.5)
                seen = asker.run(per_s, seconds)
                console.print(f"{name}: {row_of(seen)}")
                sent = flooding.result()
                granted = (len(sent.latencies_s) - sent.wrong) / sent.took_s
                table.add_row(name, f"{sent.per_s:,.0f}", f"{granted:,.1f}", *row_of(seen))
    console.print(table)


def row_of(seen: Steady) -> tuple[str, ...]:
    """Return what the steady tenant got, as a row of the table."""
    latencies = (f"{seen.latency_ms(percent):,.0f}" for percent in (50, 95))
    return f"{seen.granted} of {seen.due}", *latencies, f"{max(seen.latencies_s) * 1_000:,.0f}"


if __name__ == "__main__":
    main()
