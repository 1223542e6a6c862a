"""One form in which names are compared, computed in one place."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.errors import InvalidRequest
from identity.model.principal import NAME_LENGTH_MAX, canonical_name

SAME = [
    ("admin", "ADMIN"),
    ("admin", "\uff41\uff44\uff4d\uff49\uff4e"),  # full width
    ("stra\u00dfe", "STRASSE"),
    ("o\u0308zil", "\u00d6ZIL"),  # decomposed and composed
    ("\ufb01n", "FIN"),  # ligature
    ("\u212aelvin", "kelvin"),  # the Kelvin sign
    ("\u03c3\u03b1\u03c2", "\u03a3\u0391\u03a3"),  # final sigma
]
DIFFERENT = [
    ("admin", "adm\u0131n"),  # dotless i: PostgreSQL's upper() says the same
    ("admin", "ADM\u0130N"),  # dotted capital I: PostgreSQL's lower() says the same
    ("admin", "\u0430dmin"),  # Cyrillic a
    ("admin", "admin1"),
]
REFUSED = ["", " ", "\t", "ad\u200bmin", "ad\u200dmin", "\u202eadmin", "ad\u00admin", "ad\x00min", "admin\n",
           "\ufeffadmin", "\ud800", "\ue000", "\u0378", "a" * (NAME_LENGTH_MAX + 1)]  # fmt: skip


@pytest.mark.rfc("7644", "5", "5-1")
@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_name_are_one_name(one: str, other: str) -> None:
    assert canonical_name(one) == canonical_name(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_names_that_only_look_alike_are_two(one: str, other: str) -> None:
    assert canonical_name(one) != canonical_name(other)


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_a_name_with_nothing_to_see_or_with_what_cannot_be_seen_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        canonical_name(name)


@given(st.text(min_size=1, max_size=40))
def test_the_one_form_is_its_own_one_form(name: str) -> None:
    try:
        canonical = canonical_name(name)
    except InvalidRequest:
        return
    assert canonical_name(canonical) == canonical


def test_every_character_has_one_form_whatever_its_case() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in {"Lu", "Ll", "Lt"} and len(character.lower()) == 1:
            assert canonical_name(character) == canonical_name(canonical_name(character)), hex(code)
