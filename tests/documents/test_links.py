"""Every link of a document to a file or a heading of this repository leads somewhere."""

import re

import pytest

from tests.documents.blocks import ROOT, documents

LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?:)([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


@pytest.mark.parametrize("document", documents())
def test_the_links_of_a_document_lead_somewhere(document: str) -> None:
    for link in LINK.findall((ROOT / document).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors((target).read_text()), link


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a text."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}
