"""One load: read the server's limits and schemas, recognise the file, send it, print the numbers."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import click
import httpx2

from cli.output import answer
from cli.problems import Refused
from cli.scim.load.bulks import Bulks
from cli.scim.load.checks import UnknownNames, checked
from cli.scim.load.file import WRONG_FILE, Form, LineReader, Reopened, recognise
from cli.scim.load.lines import Line, NotLoaded, read_lines
from cli.scim.load.load import Load, Tally
from cli.scim.load.progress import Course, progress
from cli.scim.load.schemas import Resource, resource_at, resource_of_the_standard
from cli.scim.load.table import read_rows

NOT_JSON = "No line could be read: FILE must hold one JSON object a line; `jq -c . FILE` makes it so."


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of one load. Where ``form`` is None, the first line of the file decides."""

    endpoint: str
    form: Form | None
    dry_run: bool


def load_file(http: httpx2.Client, file: IO[bytes], options: LoadOptions, keep: Callable[[NotLoaded], None]) -> Tally:
    """Load a file, or try it out; print the numbers, also where an error ends the load."""
    course = Course(time.monotonic(), _length(file), options.dry_run)
    bulks = Bulks(http, time.sleep)
    limits = bulks.limits()
    bytes_max = limits.bytes_of_a_resource(options.endpoint)
    form, opened = (options.form, Reopened([], file)) if options.form else recognise(file, bytes_max)
    published = resource_at(bulks, options.endpoint)
    lines = _lines(form, opened, published, options.endpoint, bytes_max)
    unknown = None if published is None else UnknownNames(published, lambda text: click.echo(text, err=True))
    lines = lines if unknown is None else unknown.watch(lines)
    with progress(course) as on_progress:
        work = Load(bulks, limits, options.endpoint, keep, on_progress, time.monotonic)
        try:
            if options.dry_run:
                work.try_out(checked(lines, published))
            else:
                work.load(lines)
        finally:
            _show(work.tally, course, unknown)
    if form is Form.NDJSON and 0 < work.tally.lines == work.tally.unreadable:
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


def _show(tally: Tally, course: Course, unknown: UnknownNames | None) -> None:
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
