"""``python -m benchmarks.scale``: the same requests in a small and in a large tenant of one database, in turns."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import click
from rich.console import Console

from benchmarks.cases import Case
from benchmarks.importing import Import, cursor_at, import_users
from benchmarks.inside import count_round_trips
from benchmarks.loading import Loaded, load_users
from benchmarks.planting import Planted, plant_tenant
from benchmarks.report import RESULTS, Section, command_of, keep, machine, table_of
from benchmarks.request import Request
from benchmarks.scale_cases import pairs_of
from benchmarks.serving import serving
from benchmarks.stage import database, environment_of, settings_of, settle, version_of
from benchmarks.turns import Compared, Following, Pair, compare
from config.app import create_app, make_runtime
from config.settings import Settings

OTHERS = 3
HEADS = ("", "ms small", "ms large", "ratio", "statements small", "statements large")
IMPORT_HEADS = ("ms per page", "front", "middle", "end", "middle / first page", "end / first page")
LOAD_HEADS = ("MiB of memory", "after a tenth", "half", "end")

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Tenants:
    """The two that are compared, and an empty one that is loaded through /Bulk."""

    small: Planted
    large: Planted
    empty: Planted


def plant(settings: Settings, owner_url: str, small: int, large: int) -> Tenants:
    """Write all tenants, the compared ones last."""
    runtime, began = make_runtime(settings), time.perf_counter()

    def report(so_far: int) -> None:
        console.print(f"{so_far:>9,} users planted after {time.perf_counter() - began:.0f} s")

    for _ in range(OTHERS):
        plant_tenant(runtime.engine, owner_url, runtime.encryption, small, lambda _so_far: None)
    planted = [
        plant_tenant(runtime.engine, owner_url, runtime.encryption, users, report) for users in (0, small, large)
    ]
    runtime.engine.dispose()
    settle(owner_url)
    console.print(f"vacuumed and analysed after {time.perf_counter() - began:.0f} s")
    return Tenants(planted[1], planted[2], planted[0])


def count_statements(settings: Settings, pairs: list[Pair], found: dict[str, Compared]) -> None:
    """Count in an application of this process."""
    runtime = make_runtime(settings)
    app = create_app(settings, runtime)

    def counted(pair: Pair, following: Following) -> float:
        def requests(wanted: int) -> list[Request]:
            return [following(None) for _ in range(wanted)]

        return count_round_trips(app, runtime.engine, Case(pair.name, pair.status, requests))

    for pair in pairs:
        found[pair.name].small_statements = counted(pair, pair.small)
        found[pair.name].large_statements = counted(pair, pair.large)
    runtime.engine.dispose()


def rows_of(found: dict[str, Compared]) -> list[tuple[str, ...]]:
    """Return the table of the comparison."""
    return [
        (
            name,
            f"{median(seen.small_s) * 1_000:.2f}",
            f"{median(seen.large_s) * 1_000:.2f}",
            f"{seen.ratio:.2f}",
            f"{seen.small_statements:g}",
            f"{seen.large_statements:g}",
        )
        for name, seen in found.items()
    ]


def import_rows(by_index: Import, by_cursor: Import) -> list[tuple[str, ...]]:
    """Return the table of the imports."""
    imports = (("by index", by_index), ("by cursor", by_cursor))
    return [
        (
            name,
            *(f"{seen.part(where):.2f}" for where in (0, 0.5, 1)),
            *(f"{seen.ratio(where):.2f}" for where in (0.5, 1)),
        )
        for name, seen in imports
    ]


def load_rows(loaded: Loaded) -> list[tuple[str, ...]]:
    """Return the table of the load."""
    sides = (("identity scim load", loaded.client), ("web process", loaded.server))
    return [(name, *(f"{loaded.part(seen, where):.0f}" for where in (0.1, 0.5, 1))) for name, seen in sides]


def section_of(
    head: list[str], tenants: Tenants, rounds: int, tables: tuple[list[str], list[str], list[str]], loaded: Loaded,
    imported: int,
) -> str:  # fmt: skip
    """Return the section to keep, in Markdown."""
    compared, imports, load = tables
    small, large = tenants.small, tenants.large
    return "\n".join(
        [
            *head,
            f"One database: a tenant of {small.users:,} users, one of {large.users:,}, and {OTHERS} more of "
            f"{small.users:,}. Everybody is in a team of 50; *the group* has {small.crowd:,} members in the small "
            f"tenant and {large.crowd:,} in the large one. Events and provisioning log are there for everybody.",
            "",
            *compared,
            "",
            f"*ms*: the median of {rounds} answers, one request at a time, small and large in turns. "
            "*statements*: handed to the driver, BEGIN and COMMIT included, counted in a process of its own.",
            "",
            f"A full import of {imported:,} users in pages of 100 full users, `totalResults` on each, in the large "
            "tenant:",
            "",
            *imports,
            "",
            "By index and by cursor in turns. Beside each page the first one was asked for anew: *middle* and *end* "
            "are compared with what that took at the same time.",
            "",
            f"{loaded.users:,} users through `/Bulk` into an empty tenant beside them, with `identity scim load`: "
            f"{loaded.took_s:.0f} s, {loaded.users / loaded.took_s:.0f} users a second, "
            "each in a transaction of its own.",
            "",
            *load,
        ]
    )


@click.command()
@click.option("--users", type=click.IntRange(5_000), default=1_000_000, show_default=True, help="Of the large tenant.")
@click.option("--small", type=click.IntRange(1_000), default=1_000, show_default=True, help="Of the small tenant.")
@click.option("--rounds", type=click.IntRange(10, 150), default=100, show_default=True, help="Of each case.")
@click.option("--import-users", "imported", type=click.IntRange(200), default=100_000, show_default=True)
@click.option("--load-users", "loaded", type=click.IntRange(100), default=100_000, show_default=True)
@click.option(
    "--database-url",
    help="The owner's, of a database that may be written to, beside IDENTITY_DATABASE_URL; else our own.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="Where it is kept.")
def main(
    users: int, small: int, rounds: int, imported: int, loaded: int, database_url: str | None, output: Path
) -> None:
    """Measure whether a request costs more in a large tenant than in a small one."""
    started, busy = datetime.now(UTC), os.getloadavg()[0]
    with database(database_url) as postgres:
        settings = settings_of(postgres.application_url)
        tenants = plant(settings, postgres.owner_url, small, users)
        with (
            serving("cli", "serve", "--port", ready="/readyz", environment=environment_of(settings)) as product,
            console.status("walking to the middle") as status,
        ):
            middles = tuple(cursor_at(product.port, of, of.users // 2) for of in (tenants.small, tenants.large))
            pairs = pairs_of(tenants.small, tenants.large, (middles[0], middles[1]))
            found = compare(product.port, pairs, rounds, status.update)
            status.update("counting statements")
            count_statements(settings, pairs, found)
            imports = import_users(product.port, tenants.large, min(imported, users), status.update)
            status.stop()
            load = load_users(product, tenants.empty, loaded)
        head = [
            f"`{command_of('benchmarks.scale')}` on {started:%Y-%m-%d %H:%M} UTC. "
            f"{machine(version_of(postgres.owner_url))} All share the machine, which had a load of {busy:.1f} from "
            "elsewhere when this began.",
            "",
        ]
    tables = (
        table_of(HEADS, rows_of(found)),
        table_of(IMPORT_HEADS, import_rows(*imports)),
        table_of(LOAD_HEADS, load_rows(load)),
    )
    text = section_of(head, tenants, rounds, tables, load, min(imported, users))
    console.print(text, markup=False, soft_wrap=True)
    keep(output, Section.GROWTH, text)
    console.print(f"kept in {output}")


if __name__ == "__main__":
    main()
