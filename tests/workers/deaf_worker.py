"""A worker whose consumer is there and takes nothing: the fault that nobody foresaw."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tests.workers.effect_worker import run_effect_worker
from workers.consumer import LastingConsumer


def take_nothing(*_arguments: Any, **_options: Any) -> Callable[[Any], None]:
    """Leave every message where it is: neither worked on nor acknowledged."""
    return lambda _message: None


def hang(*_arguments: Any, **_options: Any) -> Callable[[Any], None]:
    """Take one message, and never come back."""
    return lambda _message: time.sleep(3600)


if __name__ == "__main__":
    LastingConsumer.create_task_handler = {"deaf": take_nothing, "hangs": hang}[sys.argv[1]]  # type: ignore[method-assign]
    run_effect_worker()
