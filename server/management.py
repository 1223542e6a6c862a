"""The management listener beside the web processes: /metrics on an address of its own, never where the world asks.

If its port cannot be had it says so, and the web processes serve without it: that nobody can look is no reason to
refuse everybody.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from server.process import end_with_parent, stop_process

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks, *when it is imported*, for the folder into which each process writes its numbers."""

STOP_S = 2.0


@contextmanager
def managed(host: str, port: int, log_format: str) -> Iterator[None]:
    """Count for the management listener, and let it listen, until the block ends. Port 0 is none.

    Nothing may have imported ``prometheus_client`` before.
    """
    if port == 0:
        yield
        return
    folder = tempfile.mkdtemp(prefix="identity-metrics-")  # 0700
    os.environ[FOLDER] = folder
    listener = subprocess.Popen(
        [sys.executable, "-m", "server.metrics_listener", host, str(port), log_format],
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_parent("SIGTERM"),  # noqa: PLW1509 - started by the main thread, before any other
    )
    try:
        yield
    finally:
        stop_process(listener, gentle="SIGTERM", wait_s=STOP_S)
        del os.environ[FOLDER]
        shutil.rmtree(folder, ignore_errors=True)
