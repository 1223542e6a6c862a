"""Statements and the tests that hold them, put together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.rfc.marks import Mark, Test
from tests.rfc.standards import Standard, Statement, faults_of

Holders = Mapping[str, tuple[Test, ...]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """A standard, and by the key of a statement the tests that hold it."""

    standard: Standard
    holders: Holders

    def holders_of(self, statement: Statement) -> tuple[Test, ...]:
        return self.holders.get(statement.key, ())

    def tested(self) -> list[Statement]:
        return [one for one in self.standard.statements() if self.holders_of(one)]

    def without_test(self) -> list[Statement]:
        return [one for one in self.standard.statements() if not self.holders_of(one)]


def cover(standards: Sequence[Standard], marks: Sequence[Mark]) -> list[Coverage]:
    """Return the coverage of each standard."""
    return [Coverage(standard, _holders(standard, marks)) for standard in standards]


def _holders(standard: Standard, marks: Sequence[Mark]) -> Holders:
    found: dict[str, set[Test]] = {}
    for mark in marks:
        for key in mark.keys if mark.standard == standard.number else ():
            found.setdefault(key, set()).add(mark.test)
    return {key: tuple(sorted(tests)) for key, tests in found.items()}


def faults(coverages: Sequence[Coverage], marks: Sequence[Mark]) -> Iterator[str]:
    """Say what keeps the document from being true."""
    for coverage in coverages:
        yield from faults_of(coverage.standard)
        for one in coverage.standard.statements():
            yield from _faults_of_statement(coverage, one)
    yield from _faults_of_marks(coverages, marks)


def _faults_of_statement(coverage: Coverage, one: Statement) -> Iterator[str]:
    name = f"RFC {coverage.standard.number} {one.key}"
    tests = coverage.holders_of(one)
    if not tests and not one.reason:
        yield f"{name} has neither a test nor a reason: {one.text}"
    if tests and one.reason:
        yield f"{name} has a test, {tests[0].name}, and a reason why there is none: {one.reason}"


def _faults_of_marks(coverages: Sequence[Coverage], marks: Sequence[Mark]) -> Iterator[str]:
    known = {coverage.standard.number: {one.key for one in coverage.standard.statements()} for coverage in coverages}
    for mark in marks:
        where = f"{mark.test.path}::{mark.test.name}"
        for key in mark.keys:
            if key not in known.get(mark.standard, set()):
                yield f"{where} names RFC {mark.standard} {key}, and there is no such statement"
            if key.rpartition("-")[0] != mark.section:
                yield f"{where} names {key} in a mark of section {mark.section}"
