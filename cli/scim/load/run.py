"""One load from its file to its numbers: what the server is, what the file is, and what came of it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import click
import httpx2

from cli.output import answer
from cli.remote import Refused
from cli.scim.load.bulks import Bulks
from cli.scim.load.checks import UnknownNames, checked
from cli.scim.load.file import WRONG_FILE, Form, LineReader, Reopened, recognise
from cli.scim.load.lines import Line, NotLoaded, read_lines
from cli.scim.load.load import Load, Tally, try_out
from cli.scim.load.progress import Course, progress
from cli.scim.load.schemas import Resource, resource_at, resource_of_the_standard
from cli.scim.load.table import read_rows

NOT_JSON = "No line could be read: FILE must hold one JSON object a line; `jq -c . FILE` makes it so."


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants. ``form`` None: whatever the file shows."""

    endpoint: str
    form: Form | None
    dry_run: bool


def load_file(http: httpx2.Client, file: IO[bytes], asked: Asked, keep: Callable[[NotLoaded], None]) -> Tally:
    """Load a file, or try it out; answer with the numbers, also when it is ended on the way."""
    course = Course(time.monotonic(), _length(file), asked.dry_run)
    bulks = Bulks(http, time.sleep)
    limits = bulks.limits()
    bytes_max = limits.bytes_of_a_resource(asked.endpoint)
    form, opened = (asked.form, Reopened([], file)) if asked.form else recognise(file, bytes_max)
    published = resource_at(bulks, asked.endpoint)
    lines = _lines(form, opened, published, asked.endpoint, bytes_max)
    unknown = None if published is None else UnknownNames(published, lambda text: click.echo(text, err=True))
    lines = lines if unknown is None else unknown.watch(lines)
    unreadable = 0

    def refuse(line: NotLoaded) -> None:
        nonlocal unreadable
        unreadable += line.is_unreadable
        keep(line)

    with progress(course) as tell:
        work = Load(bulks, limits, asked.endpoint, refuse, tell, time.monotonic)
        try:
            if asked.dry_run:
                work.tally = try_out(checked(lines, published), refuse, tell)
            else:
                work.load(lines)
        finally:
            _tell(work.tally, course, unknown)
    if form is Form.NDJSON and 0 < work.tally.lines == unreadable:
        click.echo(NOT_JSON, err=True)
    return work.tally


def _lines(
    form: Form, file: LineReader, published: Resource | None, endpoint: str, bytes_max: int
) -> Iterator[Line | NotLoaded]:
    if published is None:
        click.echo("The server publishes no schema of this endpoint: attributes are not held against one.", err=True)
    if form is Form.NDJSON:
        return read_lines(file, bytes_max)
    resource = published or resource_of_the_standard(endpoint)
    if resource is None:
        raise Refused(f"a table needs a schema, and the server publishes none of {endpoint}: give JSON", WRONG_FILE)
    return read_rows(file, resource, bytes_max)


def _tell(tally: Tally, course: Course, unknown: UnknownNames | None) -> None:
    document: dict[str, Any] = tally.as_json(dry_run=course.dry_run)
    words = course.line(tally, time.monotonic())
    if unknown is not None:
        document["unknown_attributes"] = dict(unknown.counts)
        named = ", ".join(f"{name} ({count:,})" for name, count in unknown.counts.items())
        words += f"\nAttributes that no schema of the server knows, and their lines: {named}" if named else ""
    answer(document, words)


def _length(file: IO[bytes]) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None
