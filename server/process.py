"""Child processes that never outlive their parent: how they start and stop, and under which account they run."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from server.failures import Failure

SignalName = Literal["SIGINT", "SIGTERM", "SIGQUIT", "SIGKILL"]

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of this machine."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return the account for programs that refuse to run as root; None where this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise Failure(
        f"root needs one of the accounts {', '.join(UNPRIVILEGED_ACCOUNTS)} to run PostgreSQL as: make one of them"
    )


def end_with_parent(name: SignalName, *, parent: int | None = None) -> Callable[[], None]:
    """Return what a child runs before its program, so that the kernel signals it when its parent thread dies.

    Works on Linux; elsewhere a ``kill -9`` of the parent leaves its children running.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # found here: after a fork nothing may be imported or loaded
    number, parent = int(signal.Signals[name]), parent or os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the call of prctl
            os._exit(1)

    return prepare


def name_sessions(program: str) -> None:
    """Name the connections of this process and its children after the program, for the database to show."""
    os.environ["PGAPPNAME"] = f"identity {program}"  # read by libpq, for every connection


def follow_parent() -> None:
    """Let the kernel kill this process when its parent dies: for children that others start for us."""
    end_with_parent("SIGKILL", parent=os.getppid())()


def stop_process(
    process: subprocess.Popen[bytes], *, gentle: SignalName, firm: SignalName = "SIGKILL", wait_s: float
) -> int:
    """Send the gentle signal, then the firm one, then SIGKILL; return the exit status."""
    for name in (gentle, firm):
        if process.poll() is not None:
            return process.returncode
        process.send_signal(signal.Signals[name])
        try:
            return process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.wait()
