"""Every command that a document names exists, with every option that it is given."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from cli.main import main
from tests.documents.blocks import ROOT, blocks_of, documents

IN_A_SENTENCE = re.compile(r"`(identity [^`]+)`")
ENDS_A_COMMAND = re.compile(r"[|;&)>]|\s#\s")
PLACEHOLDERS = ("...", "…", "COMMAND", "NOUN", "NAME")
HISTORY = "CHANGELOG.md"  # tells of commands that are gone


def commands_in(document: str) -> Iterator[tuple[int, str]]:
    """Return each command line that begins with ``identity``, and its line's number."""
    text = (ROOT / document).read_text()
    for found in IN_A_SENTENCE.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1].replace("\n", " ")
    for block in blocks_of(document):
        if block.language in ("sh", ""):
            for found in re.finditer(r"(?:^|[\s(/])identity (.*)", block.text.replace("\\\n", " ")):
                yield block.line, f"identity {found[1]}"


NAMED = [
    pytest.param(command, id=f"{document}:{line}: {command[:60]}")
    for document in documents()
    if document != HISTORY
    for line, command in commands_in(document)
]


@pytest.mark.parametrize("line", NAMED)
def test_a_command_of_a_document_exists_with_its_options(line: str) -> None:
    words = shlex.split(ENDS_A_COMMAND.split(line)[0].replace("`", ""), posix=True)[1:]
    command, context = resolve(words)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"}
    given = {word.split("=")[0] for word in words if re.fullmatch(r"--?[a-z].*", word)}
    assert given <= known, f"{context} has no {given - known}"


def resolve(words: list[str]) -> tuple[click.Command, str]:
    """Return the command that the first words name, and its path; an option of a group ends the search for it."""
    command: click.Command = main
    path = "identity"
    for word in words:
        if not isinstance(command, click.Group) or word in PLACEHOLDERS:
            break
        if word.startswith("-"):
            continue
        found = command.get_command(click.Context(command), word)
        if found is None and command.invoke_without_command:
            break
        assert found is not None, f"{path} has no command {word}"
        command, path = found, f"{path} {word}"
    return command, path
