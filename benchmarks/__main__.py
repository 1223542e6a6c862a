"""The one command: load, measure, print a table, keep it."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case, cases_of
from benchmarks.directory import Directory, plant_directory
from benchmarks.inside import count_round_trips, profile
from benchmarks.measure import Bench, Measured, Plan, load_process
from benchmarks.report import HEADS, RESULTS, Section, keep, page_of, rows_of
from benchmarks.serving import serving
from benchmarks.stage import EXTERNAL_URL, Database, database, environment_of, settings_of, settle, version_of
from config.app import create_app, make_runtime
from config.settings import Settings

OTHERS = 3
OTHERS_SHARE = 10  # each other tenant has one user where the measured one has ten
PROFILED = 300

console = Console(highlight=False)


def plant(settings: Settings, owner_url: str, users: int) -> Directory:
    """Load the tenants."""
    began, runtime = time.perf_counter(), make_runtime(settings)
    for _ in range(OTHERS):
        plant_directory(runtime.engine, EXTERNAL_URL, runtime.encryption, users=max(1, users // OTHERS_SHARE))
    found = plant_directory(runtime.engine, EXTERNAL_URL, runtime.encryption, users=users)
    runtime.engine.dispose()
    settle(owner_url)
    console.print(f"loaded {users:,} users and {OTHERS} other tenants in {time.perf_counter() - began:.1f} s")
    return found


def measure(
    settings: Settings, postgres: Database, directory: Directory, plan: Plan
) -> tuple[Measured, dict[str, Measured]]:
    """Run both servers and every case. Return the yardstick and the cases."""
    environment = environment_of(settings)
    with (
        serving("cli", "serve", "--port", ready="/readyz", environment=environment) as product,
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
    runtime = make_runtime(settings)
    app = create_app(settings, runtime)
    for case in cases:
        found[case.name].round_trips = count_round_trips(app, runtime.engine, case)
    runtime.engine.dispose()


def profile_one(settings: Settings, directory: Directory, name: str) -> None:
    """Print where one case spends its time."""
    app = create_app(settings)
    with serving("cli", "serve", "--port", ready="/readyz", environment=environment_of(settings)) as product:
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
@click.option(
    "--database-url",
    help="The owner's, of a database that may be written to, beside IDENTITY_DATABASE_URL; else our own.",
)
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
        settings = settings_of(postgres.application_url)
        directory = plant(settings, postgres.owner_url, users)
        if profiled is not None:
            profile_one(settings, directory, profiled)
            return
        bare, found = measure(settings, postgres, directory, plan)
        rows, others = rows_of(bare, found), f"{OTHERS} other tenants with a tenth of that each"
        show(rows)
        keep(output, Section.COSTS, page_of(rows, plan, users, others, version_of(postgres.owner_url), started, load))
        console.print(f"kept in {output}")


if __name__ == "__main__":
    main()
