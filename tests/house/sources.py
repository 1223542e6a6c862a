"""The source of the house, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "identity",
    "scim",
    "workers",
    "server",
    "config",
    "cli",
    "dev",
    "migrations",
    "verifier/identity_verifier",
    "examples",
    "benchmarks",
    "fuzz",
)
PLACES = (*ROOMS, "tests", "verifier/tests")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imports(self) -> Iterator[str]:
        """Yield the dotted name of every module or member that the file imports."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def sources(*places: str) -> tuple[Source, ...]:
    """Return every Python file below ``places``, or of the whole house."""
    return tuple(_parsed(file) for place in places or PLACES for file in sorted((ROOT / place).rglob("*.py")))


@cache
def _parsed(file: Path) -> Source:
    text = file.read_text()
    return Source(str(file.relative_to(ROOT)), text, ast.parse(text))
