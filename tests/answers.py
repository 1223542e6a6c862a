"""What tests do with answers of the token service."""

from collections.abc import Callable

import httpx2


def ask_until_served(ask: Callable[[], httpx2.Response], times: int = 5) -> httpx2.Response:
    """Ask again where a client would: the database gives up what issues a token after a second, in which the other
    tests may well have had the whole machine.
    """
    answer = ask()
    for _ in range(times - 1):
        if answer.status_code != 503:
            break
        answer = ask()
    return answer


def access_token(answer: httpx2.Response) -> str:
    """The access token in a successful answer."""
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found
