"""``docs/rfc-coverage.md``, written from the statements and the marks."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.rfc.coverage import Coverage
from tests.rfc.marks import Test
from tests.rfc.standards import REASONS, Section, Statement

HEAD = """# Coverage of the SCIM standards

Every MUST, SHALL, REQUIRED, SHOULD and RECOMMENDED of these standards: what it wants, in our own words, and the tests
that would fail if this server did otherwise, or the reason why there is none. MAY and OPTIONAL bind nobody and are not
listed. `make coverage` writes this page from `tests/rfc/*.toml` and from the marks on the tests
(`@pytest.mark.rfc("7644", "3.6", "3.6-1")`), and `tests/house` holds it to them.
"""


def document(coverages: Sequence[Coverage]) -> str:
    """Return the whole page."""
    parts = [HEAD, *_summary(coverages), *_deviations(coverages)]
    for coverage in coverages:
        parts += _standard(coverage)
    return "\n".join(parts)


def _summary(coverages: Sequence[Coverage]) -> Iterator[str]:
    yield "| standard | statements | held by tests | without a test |"
    yield "|---|--:|--:|--:|"
    for coverage in coverages:
        tested, rest = len(coverage.tested()), len(coverage.without_test())
        yield f"| {_name(coverage)} | {tested + rest} | {tested} | {rest} |"
    yield ""
    kinds = Counter(one.kind for coverage in coverages for one in coverage.without_test())
    yield "Why statements have no test:"
    yield ""
    yield "| reason | statements | which are those |"
    yield "|---|--:|---|"
    yield from (f"| {kind} | {kinds[kind]} | {meaning} |" for kind, meaning in REASONS.items() if kinds[kind])
    yield ""


def _deviations(coverages: Sequence[Coverage]) -> Iterator[str]:
    found = [(coverage, one) for coverage in coverages for one in coverage.without_test() if one.kind == "deviates"]
    yield "## Where this server does otherwise"
    yield ""
    for coverage, one in found:
        where, reason = one.key.rpartition("-")[0], one.reason.partition(":")[2].strip()
        yield f"* RFC {coverage.standard.number} §{where}, {one.level}: {one.text} **But** {reason}."
    yield ""


def _standard(coverage: Coverage) -> Iterator[str]:
    yield f"## {_name(coverage)}"
    yield ""
    for section in coverage.standard.sections:
        yield from _section(coverage, section)


def _name(coverage: Coverage) -> str:
    return f"RFC {coverage.standard.number}: {coverage.standard.title}"


def _section(coverage: Coverage, section: Section) -> Iterator[str]:
    url = f"https://www.rfc-editor.org/rfc/rfc{coverage.standard.number}#section-{section.number}"
    yield f"### [{section.number}]({url}) {section.title}"
    yield ""
    yield "| | level | what it wants | held by |"
    yield "|---|---|---|---|"
    yield from (_row(one, coverage.holders_of(one)) for one in section.statements)
    yield ""


def _row(one: Statement, tests: Sequence[Test]) -> str:
    held_by = "<br>".join(map(_link, tests)) or f"*{one.reason}*"
    note = f" *{one.note}*" if one.note else ""
    return f"| {one.key} | {one.level} | {one.text}{note} | {held_by} |"


def _link(test: Test) -> str:
    return f'[{test.sentence}](../{test.path} "{test.path}::{test.name}")'
