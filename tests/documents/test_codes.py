"""Each code with which something is refused has its row in docs/troubleshooting.md."""

import re

from tests.documents.blocks import ROOT
from tests.documents.codes import documented, is_documented

PAGE = "docs/troubleshooting.md"


def test_the_page_has_rows_and_none_of_them_twice() -> None:
    codes = re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in rows()))
    assert len(codes) > 100
    assert {code for code in codes if codes.count(code) > 1} <= {"subject_token_type", "token_size"}


def test_a_family_covers_its_members_and_no_other_code() -> None:
    assert "subject_token_*" in documented()
    assert is_documented("subject_token_azp")
    assert not is_documented("subject_tokens")


def rows() -> list[str]:
    lines = (ROOT / PAGE).read_text().splitlines()
    return [line for line in lines if line.startswith("| `")]
