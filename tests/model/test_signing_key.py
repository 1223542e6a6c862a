"""Which key signs, which are published, and for how long."""

from datetime import datetime

import pytest

from identity.model.errors import Unavailable
from identity.model.signing_key import (
    CLOCK_SKEW_S,
    JWKS_LIFETIME_S,
    KeyState,
    SigningKey,
    activation_of_next,
    is_published,
    retirement_of_last,
    signing_key,
)
from identity.model.tenant import ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S
from tests.model.parties import NOW, soon


def key(
    kid: str, *, activates_at: datetime = NOW, until: datetime | None = None, state: KeyState = KeyState.LIVE
) -> SigningKey:
    return SigningKey(kid, "ES256", state, {}, b"", NOW, activates_at, until)


def test_the_newest_key_that_others_could_fetch_signs() -> None:
    old, new, next_ = key("1", until=soon(900)), key("2", activates_at=soon(100)), key("3", activates_at=soon(500))
    keys = [next_, new, old]
    assert [signing_key(keys, soon(second)).kid for second in (0, 99, 100, 499, 500)] == ["1", "1", "2", "2", "3"]


@pytest.mark.parametrize(
    "dead",
    [
        key("1", state=KeyState.REVOKED),
        key("1", activates_at=soon(1)),
        key("1", until=NOW),
    ],
)
def test_a_key_that_is_revoked_or_early_or_late_signs_nothing(dead: SigningKey) -> None:
    with pytest.raises(Unavailable):
        signing_key([dead], NOW)


def test_a_prepared_key_is_published_before_it_signs_and_a_revoked_one_never() -> None:
    assert is_published(key("1", activates_at=soon(300)), NOW)
    assert not is_published(key("1", state=KeyState.REVOKED), NOW)
    assert is_published(key("1", until=soon(1)), NOW)
    assert not is_published(key("1", until=NOW), NOW)


def test_a_key_verifies_as_long_as_any_token_that_it_signed_can_live_for_the_slowest_verifier() -> None:
    activation = activation_of_next(NOW)
    assert (activation - NOW).total_seconds() == JWKS_LIFETIME_S
    last_token_dies = max(ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S)
    assert (retirement_of_last(activation) - activation).total_seconds() >= last_token_dies + CLOCK_SKEW_S
