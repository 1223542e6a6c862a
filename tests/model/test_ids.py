"""Identifiers: UUID version 7, in the order in which they were made, spelt one way."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.ids import RANDOM_BITS, new_id, parse_id

INSTANTS_NS = st.integers(0, 2**48 * 1_000_000 - 1)
BITS = st.integers(0, 2**RANDOM_BITS - 1)


@pytest.mark.rfc("9562", "5.7")
@given(INSTANTS_NS, BITS)
def test_an_id_is_a_version_7_uuid_of_its_millisecond_and_its_random_bits(now_ns: int, random_bits: int) -> None:
    made = new_id(now_ns, random_bits)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == now_ns // 1_000_000
    assert made.int & (2**RANDOM_BITS - 1) == random_bits


@given(INSTANTS_NS, st.integers(300, 10**12), BITS, BITS)
def test_ids_sort_in_the_order_in_which_they_were_made(now_ns: int, later_ns: int, one: int, other: int) -> None:
    assert new_id(now_ns, one).int >> 64 <= new_id(min(now_ns + later_ns, 2**48 * 1_000_000 - 1), other).int >> 64


@given(INSTANTS_NS, BITS)
def test_an_id_is_read_back_from_its_one_spelling(now_ns: int, random_bits: int) -> None:
    made = new_id(now_ns, random_bits)
    assert parse_id(str(made)) == made


@pytest.mark.parametrize(
    "text",
    ["", "1", "admin", str(UUID(int=1)).upper().replace("0", "A"), UUID(int=1).hex, f"{{{UUID(int=1)}}}",
     UUID(int=1).urn, f" {UUID(int=1)}", f"{UUID(int=1)}\n", "\u0661" * 32, "0" * 10_000, "\x00"],
    ids=ascii,
)  # fmt: skip
def test_another_spelling_names_nothing(text: str) -> None:
    assert parse_id(text) is None
