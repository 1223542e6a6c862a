"""The one command: load, measure, print a table, keep it."""

import base64
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import click
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case, cases_of
from benchmarks.directory import Directory, plant_directory, settle
from benchmarks.inside import count_round_trips, profile
from benchmarks.measure import Bench, Measured, Plan, load_process
from benchmarks.report import HEADS, page_of, rows_of
from benchmarks.serving import serving, tree_cpu_s
from config.app import create_app, make_house
from config.database import migrate
from config.postgres import start_cluster
from config.settings import Settings, load_settings

EXTERNAL_URL = "https://identity.example"
RESULTS = Path(__file__).parent / "results.md"
OTHERS = 3
OTHERS_SHARE = 10  # each other tenant has one user where the measured one has ten
PROFILED = 300
SCIM_REQUESTS_PER_S = 100_000  # not the limit is to be measured

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Database:
    """The PostgreSQL of a run. ``cpu_s`` is 0 where it runs out of our sight."""

    owner_url: str
    cpu_s: Callable[[], float]


@contextmanager
def database(given: str | None) -> Iterator[Database]:
    """Give a migrated database: the given one, or one of our own that keeps every promise about durability."""
    if given is not None:
        migrate(given)
        yield Database(given, lambda: 0.0)
        return
    folder = Path(mkdtemp(prefix="identity-benchmark-"))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass
    cluster = start_cluster(folder)
    try:
        migrate(cluster.url())
        yield Database(cluster.url(), lambda: tree_cpu_s(cluster.process.pid))
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def version_of(owner_url: str) -> str:
    """Return what the database is, and whether it keeps what it was told before it answers."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        shown = (
            connection.execute(f"SHOW {name}").fetchone() for name in ("server_version", "fsync", "synchronous_commit")
        )
        server, fsync, commit = (row[0] if row else "unknown" for row in shown)
    return f"PostgreSQL {server} (fsync {fsync}, synchronous_commit {commit})"


def plant(settings: Settings, owner_url: str, users: int) -> Directory:
    """Load the tenants."""
    began, house = time.perf_counter(), make_house(settings)
    for _ in range(OTHERS):
        plant_directory(house.engine, EXTERNAL_URL, house.seal, users=max(1, users // OTHERS_SHARE))
    found = plant_directory(house.engine, EXTERNAL_URL, house.seal, users=users)
    house.engine.dispose()
    settle(owner_url)
    console.print(f"loaded {users:,} users and {OTHERS} other tenants in {time.perf_counter() - began:.1f} s")
    return found


def measure(
    settings: Settings, postgres: Database, directory: Directory, plan: Plan
) -> tuple[Measured, dict[str, Measured]]:
    """Run both servers and every case. Return the yardstick and the cases."""
    environment = environment_of(settings)
    with (
        serving("config.cli", "serve", "--port", ready="/readyz", environment=environment) as product,
        serving("benchmarks.bare", ready="/bare", environment=environment) as yardstick,
        load_process() as load,
    ):
        bench = Bench(product, yardstick, postgres.cpu_s, plan, load)
        cases = cases_of(directory, f"http://127.0.0.1:{product.port}")
        with console.status("warming up") as status:
            found = bench.measure(cases, status.update)
        count_all_round_trips(settings, cases, found)
        return bench.bare, found


def count_all_round_trips(settings: Settings, cases: list[Case], found: dict[str, Measured]) -> None:
    """Count in an application of this process."""
    house = make_house(settings)
    app = create_app(settings, house)
    for case in cases:
        found[case.name].round_trips = count_round_trips(app, house.engine, case)
    house.engine.dispose()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as a server of ours reads them."""
    key = settings.key_encryption_key
    return {
        "IDENTITY_DATABASE_URL": settings.database_url.get_secret_value(),
        "IDENTITY_EXTERNAL_URL": settings.external_url,
        "IDENTITY_KEY_ENCRYPTION_KEY": key.get_secret_value() if key else "",
        "IDENTITY_SCIM_REQUESTS_PER_S": str(settings.scim_requests_per_s),
        "IDENTITY_LOG_LEVEL": "warning",
    }


def profile_one(settings: Settings, directory: Directory, name: str) -> None:
    """Print where one case spends its time."""
    app = create_app(settings)
    with serving("config.cli", "serve", "--port", ready="/readyz", environment=environment_of(settings)) as product:
        cases = cases_of(directory, f"http://127.0.0.1:{product.port}")
        found = [case for case in cases if name.lower() in case.name.lower()]
        for case in found:
            console.print(profile(app, case, PROFILED), markup=False, soft_wrap=True)


def show(rows: list[tuple[str, ...]]) -> None:
    """Print the table."""
    table = Table(*HEADS[:1])
    for head in HEADS[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@click.command()
@click.option("--users", type=click.IntRange(200), default=10_000, show_default=True, help="In the measured tenant.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Turns of each case.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=1.5, show_default=True, help="Of one turn.")
@click.option("--connections", type=click.IntRange(1, 256), default=8, show_default=True, help="All busy at once.")
@click.option("--database-url", help="The owner's, of a database that may be written to; else one of our own.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="Where it is kept.")
@click.option("--profile", "profiled", help="Measure nothing; say where a case spends its time, in this process.")
def main(
    users: int,
    rounds: int,
    seconds: float,
    connections: int,
    database_url: str | None,
    output: Path,
    profiled: str | None,
) -> None:
    """Measure the product against a bare Flask route on the same server in the same run."""
    started, load, plan = datetime.now(UTC), os.getloadavg()[0], Plan(rounds, seconds, connections)
    with database(database_url) as postgres:
        settings = load_settings(
            database_url=postgres.owner_url,
            external_url=EXTERNAL_URL,
            key_encryption_key=base64.b64encode(secrets.token_bytes(32)).decode(),
            scim_requests_per_s=SCIM_REQUESTS_PER_S,
        )
        directory = plant(settings, postgres.owner_url, users)
        if profiled is not None:
            profile_one(settings, directory, profiled)
            return
        bare, found = measure(settings, postgres, directory, plan)
        rows, others = rows_of(bare, found), f"{OTHERS} other tenants with a tenth of that each"
        show(rows)
        output.write_text(page_of(rows, plan, users, others, version_of(postgres.owner_url), started, load))
        console.print(f"kept in {output}")


if __name__ == "__main__":
    main()
