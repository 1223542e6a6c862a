"""A cache with a limit: a value that it forgets is made again, so no decision depends on its contents."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """At most ``max_entries`` values by key. Those that were unused for longest go first, half of all at a time.

    A value is in one of two generations: used since the last change of generations, or before it. A hit is one look
    into a dictionary, without a lock. Any thread may use it.
    """

    def __init__(self, max_entries: int) -> None:
        self._generation_max = max(1, max_entries // 2)
        self._recent: dict[Key, Value] = {}
        self._earlier: dict[Key, Value] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        return key in self._recent or key in self._earlier

    def __len__(self) -> int:
        return len(self._recent) + len(self._earlier)

    def get(self, key: Key) -> Value | None:
        """Return a value, which counts as used; None when there is none."""
        found = self._recent.get(key)
        return self._used_again(key) if found is None else found

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, in the place of an earlier one of the same key."""
        with self._lock:
            self._keep(key, value)

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return a value; one that is missing is made, by several threads at once if need be."""
        found = self.get(key)
        if found is None:
            self.put(key, found := make())
        return found

    def remove(self, key: Key) -> None:
        """Forget a value, if there is one."""
        with self._lock:
            self._recent.pop(key, None)
            self._earlier.pop(key, None)

    def clear(self) -> None:
        """Forget every value."""
        with self._lock:
            self._recent, self._earlier = {}, {}

    def _used_again(self, key: Key) -> Value | None:
        with self._lock:
            found = self._recent.get(key)
            if found is None and (found := self._earlier.get(key)) is not None:
                self._keep(key, found)
            return found

    def _keep(self, key: Key, value: Value) -> None:
        self._earlier.pop(key, None)
        self._recent[key] = value
        if len(self._recent) >= self._generation_max:
            self._earlier, self._recent = self._recent, {}
