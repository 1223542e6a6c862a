"""The extras of the distribution: a program looks for the modules that it needs before it starts anything."""

from importlib.util import find_spec

from server.failures import Failure


def missing_extra(what: str, extra: str, *modules: str) -> str | None:
    """Return a sentence for the operator when modules of an extra are missing; None when none is."""
    missing = [name for name in modules if find_spec(name) is None]
    return f"{what} needs {' and '.join(missing)}: pip install 'identity-foundation[{extra}]'" if missing else None


def require_extra(what: str, extra: str, *modules: str) -> None:
    """Raise ``Failure`` unless the modules of an extra are there."""
    if (sentence := missing_extra(what, extra, *modules)) is not None:
        raise Failure(sentence)
