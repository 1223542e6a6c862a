"""``identity doctor``: the faults of this installation, each with the command or setting that mends it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from cli import doctor_database, doctor_programs
from cli.finding import Finding, ill, well
from cli.output import answer, json_option
from config.settings import Settings, SettingsError, load_settings
from dev.running import running_settings
from server.failures import explain
from server.process import name_sessions


def settings_are_whole(settings: Settings) -> Finding:
    """The secrets that every process needs are set."""
    try:
        settings.key_encryption_key_bytes  # noqa: B018 - raises where it is missing
    except SettingsError as error:
        return ill("settings", str(error))
    if settings.admin_token_hash is None:
        return ill("settings", "IDENTITY_ADMIN_TOKEN is not set: nobody can administer")
    return well("settings")


NEEDED: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
    ("database", doctor_database.database_answers),
    ("role", doctor_database.roles_are_had),
    ("schema", doctor_database.schema_fits),
)
"""The checks that every later one needs, in this order."""

OTHERS: tuple[tuple[str, Callable[[Settings], Finding | list[Finding]]], ...] = (
    ("isolation", doctor_database.tenants_are_isolated),
    ("listen", doctor_database.announcements_are_heard),
    ("clock", doctor_database.clocks_agree),
    ("keys", doctor_database.keys_are_opened),
    ("broker", doctor_programs.broker_answers),
    ("web", doctor_programs.programs_are_there),
    ("outbox", doctor_programs.outbox_is_worked_off),
    ("disk", doctor_database.disk_has_room),
)


@click.command()
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, readable=False, path_type=Path), default=Path(".data"),
    show_default=True, envvar="IDENTITY_DATA",
    help="The folder of an `identity dev`, which is looked at where no database is set.",
)  # fmt: skip
@json_option
@click.pass_context
def doctor(context: click.Context, folder: Path) -> None:
    """Look for what is wrong: settings, database, schema, role, isolation of tenants, LISTEN, clock, keys, broker, web
    server, worker, relay, outbox and disk. Exit 1 when something is.
    """
    name_sessions("doctor")
    findings = list(_findings(folder))
    words = "\n".join(
        f"{'ok ' if found.is_well else 'NO '} {found.name}  {found.advice}".rstrip() for found in findings
    )
    answer({"findings": [asdict(found) for found in findings]}, words)
    context.exit(0 if all(found.is_well for found in findings) else 1)


def _findings(folder: Path) -> Iterator[Finding]:
    try:
        settings = load_settings(**(of_folder := running_settings(folder.absolute())))
    except Exception as error:  # each is a finding
        yield ill("settings", explain(error))
        return
    yield settings_are_whole(settings)
    for name, check in NEEDED:
        found = _looked(name, check, settings)[0]
        if name == "database" and not found.is_well and of_folder:
            found = ill(name, f"that of `identity dev` does not answer: start `identity dev --data {folder}`")
        yield found
        if not found.is_well and not (name == "schema" and _is_served(settings)):
            return  # no other check can be made
    for name, check_others in OTHERS:
        yield from _looked(name, check_others, settings)


def _is_served(settings: Settings) -> bool:
    try:
        return doctor_database.schema_is_served(settings)
    except Exception:  # an earlier finding says so
        return False


def _looked(name: str, check: Callable[[Settings], Finding | list[Finding]], settings: Settings) -> list[Finding]:
    try:
        found = check(settings)
    except Exception as error:  # it could not be looked at, which is a finding too
        return [ill(name, explain(error))]
    return found if isinstance(found, list) else [found]
