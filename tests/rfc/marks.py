"""Which tests say that they hold which statement: ``@pytest.mark.rfc("7644", "3.6", "3.6-1")``.

Collected by pytest itself, without running anything, and only from files in which the mark stands.
"""

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "verifier/tests")
SIGN = "mark.rfc("
QUIETLY = ("--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist")


@dataclass(frozen=True, slots=True, order=True)
class Test:
    """A test function, whatever its rows."""

    __test__ = False  # it is none itself

    path: str
    name: str

    @property
    def sentence(self) -> str:
        """Return what the name says."""
        return self.name.removeprefix("test_").replace("_", " ")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One mark of one test. Without keys it names a section, and counts for nothing."""

    test: Test
    standard: str
    section: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class _Collected:
    items: list[pytest.Item] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def collect_marks() -> list[Mark]:
    """Return every mark of every test. Raises ``RuntimeError`` where pytest cannot collect."""
    files = [str(file) for folder in FOLDERS for file in sorted((ROOT / folder).rglob("test_*.py"))]
    marked = [file for file in files if SIGN in Path(file).read_text()]
    collected, said = _Collected(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main([*QUIETLY, "--rootdir", str(ROOT), *marked], plugins=[collected])
    if status is not pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return sorted(set(_marks(collected.items)))


def _marks(items: list[pytest.Item]) -> Iterator[Mark]:
    for item in items:
        test = Test(item.path.relative_to(ROOT).as_posix(), item.name.partition("[")[0])
        for mark in item.iter_markers("rfc"):
            standard, section, *keys = mark.args
            yield Mark(test, standard, section, tuple(keys))
