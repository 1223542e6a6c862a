"""The management listener beside the web processes: /metrics on an address of its own, never on the public one.

If its port is not free it logs so, and the web processes serve without it: without metrics the service still works.
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
"""Names the folder into which each process writes its numbers. prometheus_client reads it *when it is imported*."""

STOP_S = 2.0


@contextmanager
def managed(host: str, port: int, log_format: str) -> Iterator[None]:
    """Run the management listener until the block ends, with a folder for the numbers of all web processes.

    Port 0 is none. Nothing may have imported ``prometheus_client`` before.
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
