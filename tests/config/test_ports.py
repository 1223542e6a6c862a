"""A port belongs to one server: no other one shares it by accident, and a restart has it at once."""

import json
import socket
import sys
import time
from pathlib import Path

import pytest

from server import ports
from server.ports import PortRefused, port_held, refuse_taken_port
from tests.config.test_management import free_port, status, wait_until
from tests.config.test_serve import SECONDS, children, readiness, running

SETTING = "IDENTITY_PORT"


def refuse(port: int, host: str = "127.0.0.1") -> None:
    refuse_taken_port(host, port, setting=SETTING)


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_at_which_somebody_listens_is_refused(shares: bool, host: str) -> None:
    with socket.socket() as taken:
        if shares:  # as the web server does
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            PortRefused,
            match=rf"port {port} cannot be used at 127.0.0.1 .*stop the server.*or choose another: {SETTING}",
        ):
            refuse(port)


def test_a_port_whose_server_has_just_ended_is_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        connection, _ = server.accept()
        connection.close()  # the server's end closes first: its port is remembered for a minute (TIME_WAIT)
        client.recv(1)
        client.close()
    refuse(port)


def test_an_address_that_is_not_of_this_machine_is_refused() -> None:
    with pytest.raises(PortRefused, match="Cannot assign requested address"):
        refuse(free_port(), "192.0.2.1")
    with pytest.raises(PortRefused, match=r"port 80 cannot be used at no\.such\.name\.invalid"):
        refuse(80, "no.such.name.invalid")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name without a file cannot be held")
def test_a_port_is_held_against_a_server_that_starts_at_the_same_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "ENDING_S", 0.0)
    port = free_port()
    with port_held("127.0.0.1", port, setting=SETTING):
        with (
            pytest.raises(PortRefused, match="another server is starting"),
            port_held("127.0.0.1", port, setting=SETTING),
        ):
            pass
        with port_held("127.0.0.2", port, setting=SETTING):
            pass
    with port_held("127.0.0.1", port, setting=SETTING):
        pass


def test_a_port_whose_server_is_ending_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    monkeypatch.setattr(time, "sleep", lambda _: taken.close())
    with port_held("127.0.0.1", port, setting=SETTING):
        pass


def test_a_second_server_is_refused_and_the_first_is_started_again_at_once(database_url: str, tmp_path: Path) -> None:
    with running("serve", database_url, tmp_path / "first", IDENTITY_WEB_PROCESSES="2") as (port, process):
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        assert len(children(process.pid)) >= 2  # its own processes share the port
        with running("serve", database_url, tmp_path / "second", IDENTITY_PORT=str(port)) as (_, second):
            assert second.wait(SECONDS) == 1
        assert status(port, "/livez") == 200
        assert process.poll() is None
    said = (tmp_path / "second").read_text()
    assert said.startswith(f"Error: port {port} cannot be used at 127.0.0.1 (Address already in use); stop the server")
    assert said.count("\n") == 1
    with running("serve", database_url, tmp_path / "third", IDENTITY_PORT=str(port)):
        wait_until(lambda: readiness(port) == (200, None), SECONDS)


def test_a_taken_management_port_is_a_line_of_the_log_that_names_the_setting(database_url: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running("serve", database_url, said, IDENTITY_MANAGEMENT_PORT=port):
            wait_until(lambda: "management_port_refused" in said.read_text(), SECONDS)
    [line] = [line for line in said.read_text().splitlines() if "management_port_refused" in line]
    assert "choose another port with IDENTITY_MANAGEMENT_PORT" in json.loads(line)["detail"]
