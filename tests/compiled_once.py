"""Compiled URL rules and SQL statements, which the tests of one process share.

Every application and every engine is a new one, as isolation wants it; only the results of pure compilations are kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from werkzeug.routing import Rule

from identity.store import transaction

Builder = Callable[..., tuple[str, str]]


@contextmanager
def url_rules_compiled_once() -> Iterator[None]:
    """Keep the URL builder of a rule: werkzeug takes 0.5 ms for each, and an application has 240 of them."""
    compile_builder, kept = Rule._compile_builder, dict[object, Builder]()

    def compile_once(self: Rule, append_unknown: bool = True) -> Builder:
        if self.defaults:
            return compile_builder(self, append_unknown)
        key = (self.rule, append_unknown, *self._trace)
        return kept.get(key) or kept.setdefault(key, compile_builder(self, append_unknown))

    with patch.object(Rule, "_compile_builder", compile_once):
        yield


class _Statements(dict[Any, Any]):
    """Compiled statements by what they say, and not by the engine's own dialect, which stands first in a key."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


@contextmanager
def statements_compiled_once() -> Iterator[None]:
    """Give the engines of the application one cache: all have the same dialect, with the same options."""
    create_engine, kept = transaction.create_engine, _Statements()

    def create(*arguments: Any, execution_options: dict[str, Any], **named: Any) -> Any:
        options = execution_options | {"compiled_cache": kept}
        return create_engine(*arguments, execution_options=options, **named)

    with patch.object(transaction, "create_engine", create):
        yield
