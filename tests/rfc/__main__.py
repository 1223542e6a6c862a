"""Write ``docs/rfc-coverage.md``, or say with ``--check`` what keeps it from being true."""

import sys

from tests.rfc.coverage import cover, faults
from tests.rfc.document import document
from tests.rfc.marks import ROOT, collect_marks
from tests.rfc.standards import standards

PAGE = ROOT / "docs" / "rfc-coverage.md"


def main(arguments: list[str]) -> int:
    marks = collect_marks()
    coverages = cover(standards(), marks)
    wrong = list(faults(coverages, marks))
    page = document(coverages)
    if "--check" not in arguments:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        wrong.append(f"docs/{PAGE.name} is not what the marks say: run make coverage")
    for fault in wrong:
        print(fault)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
