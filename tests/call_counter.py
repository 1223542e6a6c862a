"""The Python function calls of a request: a measure of its cost that no noise can move."""

import cProfile
import pstats
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask


@dataclass(slots=True)
class Calls:
    """The calls of each request of a block, calls into C included."""

    of_requests: list[int] = field(default_factory=list)

    @property
    def least(self) -> int:
        """The calls of the cheapest request: what every other one needs too."""
        return min(self.of_requests)


@contextmanager
def counted_calls(app: Flask) -> Iterator[Calls]:
    """Count the function calls of every request that ``app`` answers in the block."""
    counted, answer = Calls(), app.wsgi_app

    def counting(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        profile = cProfile.Profile()
        body = profile.runcall(lambda: list(answer(environ, start_response)))
        counted.of_requests.append(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
        return body

    app.wsgi_app = counting  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        app.wsgi_app = answer  # type: ignore[method-assign]
