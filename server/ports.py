"""A port that one server has to itself.

The web server lets every process listen beside its own (SO_REUSEPORT), and the kernel spreads requests over all of
them: an older version, or one with another key, would answer some. So a port is looked at before it is listened at, and
held meanwhile against a second server that starts at the same instant.
"""

import errno
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from server.failures import Failure

ENDING_S = 2.0
"""How long a server that is stopping, or was killed, may take to free its port."""

LOOK_S = 0.05


class PortRefused(Failure):
    """A port cannot be used; the message says why, and which setting names another."""


class PortTaken(PortRefused):
    """Another server has it, which may be about to end."""


def refuse_taken_port(host: str, port: int, *, setting: str) -> None:
    """Return when a server can listen at the address by itself. Raises ``PortRefused``.

    Connections of a server that has ended keep no other from its port (SO_REUSEADDR).
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        refused = f"port {port} cannot be used at {host} ({error.strerror})"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"{refused}; stop the server that has it, or choose another: {setting}") from None
        raise PortRefused(f"{refused}; choose another: {setting}") from None


@contextmanager
def port_held(host: str, port: int, *, setting: str) -> Iterator[None]:
    """Keep every other server of ours from the port while the block runs. Raises ``PortRefused``."""
    ends_at = time.monotonic() + ENDING_S
    while True:
        try:
            refuse_taken_port(host, port, setting=setting)
            held = _hold(host, port)
            break
        except PortTaken:
            if time.monotonic() > ends_at:
                raise
            time.sleep(LOOK_S)
    with held:
        yield


def _hold(host: str, port: int) -> socket.socket:
    """Return a socket whose name only one process of this machine can have; it ends with the process."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if sys.platform != "linux":  # names without a file are Linux's
        return held
    try:
        held.bind(f"\0identity-port-{host}-{port}")
    except OSError:
        held.close()
        raise PortTaken(f"another server is starting at port {port}; choose another") from None
    return held
