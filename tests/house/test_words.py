"""Names, docstrings and comments use the nouns of the standards and plain English: some words are not used at all."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.house.sources import ROOMS, Source, sources

INSTEAD = {
    "nobody somebody anybody everybody whoever whomever": "name the caller, the client, the person or the program",
    "asked asks asking": "requested, request",
    "told tell tells telling": "the event, the message, the response",
    "news": "an outbox entry",
    "house door seat seats patience knock": "the runtime, the admission control, the queue and its timeout",
    "vouch vouched believe believed": "verify, verified",
    "befall befalls bring brings": "a transition",
    "dice": "randomness",
    "stranger strangers": "an unknown token, an anonymous caller",
}
FORBIDDEN = {word: instead for words, instead in INSTEAD.items() for word in words.split()}
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def prose(source: Source) -> Iterator[tuple[int, str]]:
    """Yield every name, docstring and comment of a file with its line. Texts for users are not among them."""
    docstrings = {
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        is_docstring = token.type == tokenize.STRING and token.start[0] in docstrings
        if token.type in (tokenize.NAME, tokenize.COMMENT) or is_docstring:
            yield from enumerate(token.string.splitlines(), token.start[0])


def test_no_name_docstring_or_comment_has_a_word_of_our_own() -> None:
    found = {
        f"{source.path}:{number}: {part}": FORBIDDEN[part.lower()]
        for source in sources(*ROOMS)
        if not source.path.startswith("migrations/versions/")  # what has landed is history
        for number, line in (*prose(source), (0, source.path.rpartition("/")[2]))
        for part in PARTS.findall(line)
        if part.lower() in FORBIDDEN
    }
    assert found == {}
