"""The fenced blocks of the documents, and what becomes of each.

The second word after the fence says it; readers do not see it:

* a name of a file (``agent.py``): the block is written to that file, for a command to run;
* ``stays``: a command that goes on running until the document ends;
* ``excerpt``: not run; the text says what it is a part of;
* ``tests/...``: another test runs the very text, or what it is about;
* none: the commands of a shell block are run, in order, and each must end with status 0.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*) ?(?P<what>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
SHELL = "sh"
STAYS, EXCERPT = "stays", "excerpt"
ANOTHER_TEST = ("tests/", "verifier/tests/")
NOT_DOCUMENTS = ("node_modules", ".venv", ".data", "build", "fuzz")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; ``what`` is the word after its language."""

    document: str
    line: int
    language: str
    what: str
    text: str

    @property
    def is_run(self) -> bool:
        """True for commands that the test of the document runs."""
        return self.language == SHELL and self.what in ("", STAYS)

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, or None."""
        return self.what if self.what and "." in self.what and not self.what.startswith(ANOTHER_TEST) else None


@cache
def documents() -> tuple[str, ...]:
    """Return the paths of all documents, from the root of the repository."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return tuple(sorted(str(path) for path in found if not set(path.parts) & set(NOT_DOCUMENTS)))


@cache
def blocks_of(document: str) -> tuple[Block, ...]:
    """Return the blocks of a document, in their order."""
    text = (ROOT / document).read_text()
    return tuple(
        Block(
            document=document,
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            what=match["what"].strip(),
            text=re.sub(rf"(?m)^{match['indent']}", "", match["text"]),
        )
        for match in FENCE.finditer(text)
    )
