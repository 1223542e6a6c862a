"""What a client would rather have (RFC 7240)."""

import pytest

from scim.preferences import Preferences, parse_preferences


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async"], Preferences(respond_async=True)),
        (["return=minimal, respond-async, wait=10"], Preferences(respond_async=True, wait_s=10)),
        (["respond-async; x=1", 'wait="7"'], Preferences(respond_async=True, wait_s=7)),
        (["wait=1, wait=9"], Preferences(wait_s=1)),
        (["respond-async, wait=-1"], Preferences(respond_async=True)),
        (["respond-async, wait=1e9"], Preferences(respond_async=True)),
        (["respond-async, wait=" + "9" * 400], Preferences(respond_async=True)),
        (['foo="respond-async, wait=5"'], Preferences()),
        ([",,;;==", '"'], Preferences()),
    ],
)
def test_preferences_are_read_and_what_is_malformed_is_ignored(headers: list[str], expected: Preferences) -> None:
    assert parse_preferences(headers) == expected
