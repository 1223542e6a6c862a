"""Give a Python program, and all that it starts, a wall clock that is wrong by ``CLOCK_SHIFT_S`` seconds.

Python imports this file before everything else when its folder is on PYTHONPATH. The monotonic clock stays right, as it
does on a machine whose wall clock is wrong.
"""

import datetime
import os
import time

SHIFT_S = float(os.environ.get("CLOCK_SHIFT_S", "0"))
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


class _IsAnyDatetime(type):
    """Values stay of the true class, which libraries in C make too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _datetime)


class _Shifted(_datetime, metaclass=_IsAnyDatetime):
    def __new__(cls, *parts, **named):  # type: ignore[no-untyped-def]
        return _datetime(*parts, **named)

    @classmethod
    def now(cls, tz=None):  # type: ignore[no-untyped-def]
        return _datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):  # type: ignore[no-untyped-def]
        return _datetime.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls):  # type: ignore[no-untyped-def]
        return cls.now()


if SHIFT_S:
    time.time = lambda: _time() + SHIFT_S
    time.time_ns = lambda: _time_ns() + round(SHIFT_S * 1e9)
    _Shifted.__name__ = _Shifted.__qualname__ = "datetime"
    _Shifted.__module__ = "datetime"
    datetime.datetime = _Shifted  # type: ignore[misc]
