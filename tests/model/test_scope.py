"""Authority only shrinks: the grammar of scopes and audiences, and the laws of narrowing a scope."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.errors import InvalidRequest
from identity.model.scope import check_audience, narrow_scopes, parse_scope
from tests.trials import trials

WORDS = st.sampled_from(["read", "pay", "list", "void", "approve"])
SCOPES = st.lists(WORDS, unique=True).map(tuple)


@settings(max_examples=trials(1_000))
@given(SCOPES, st.none() | SCOPES)
def test_what_is_issued_is_held(held: tuple[str, ...], asked: tuple[str, ...] | None) -> None:
    granted = narrow_scopes(held, asked)
    if granted is None:
        assert asked is not None
        assert not set(asked) <= set(held)
    else:
        assert set(granted) <= set(held)
        assert granted == (held if asked is None else asked)


@settings(max_examples=trials(1_000))
@given(SCOPES, SCOPES, SCOPES)
def test_narrowing_twice_never_gives_back_what_narrowing_once_took(
    held: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    between = narrow_scopes(held, first)
    if between is not None and (last := narrow_scopes(between, second)) is not None:
        assert set(last) <= set(between) <= set(held)


@pytest.mark.rfc("6749", "3.3")
@pytest.mark.parametrize(
    "text",
    ["a  b", " a", "a ", "a b a", 'a"b', "a\\b", "é", "a\tb", "a\n", "\x7f", "a" * 129, "a " * 50 + "b",
     " ".join(f"s{number}" for number in range(51)), "x" * 4_097],
)  # fmt: skip
def test_a_scope_outside_its_grammar_or_limits_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_scope(text)
    assert refusal.value.pointer == "scope"


@pytest.mark.rfc("8707", "2")
@pytest.mark.parametrize(
    "audience",
    ["erp", "/erp", "", "https://erp.example#", "https://erp.example#x", "https://u@erp.example", "https://e rp",
     "https://erp.example\n", "https://érp.example", "https://" + "a" * 512],
)  # fmt: skip
def test_an_audience_is_an_absolute_uri_without_fragment(audience: str) -> None:
    with pytest.raises(InvalidRequest):
        check_audience(audience)
