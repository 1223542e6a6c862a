"""How commands find an `identity dev`: by a folder that is this account's alone, while one runs with it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from loopback import LoopbackServer, loopback_server

from cli.main import main
from dev.access import FILE, Access, access_of, forget_access, token_for, url_here, write_access
from dev.installation import LOCK, FolderInUseError, is_in_use, lock_folder

URL = "http://127.0.0.1:8181"
TOKEN = "idf_admin_of-this-test-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of an `identity dev` that is ready."""
    made = tmp_path / "data"
    monkeypatch.setenv("IDENTITY_DATA", str(made))
    lock = lock_folder(made)
    write_access(made, Access(URL, TOKEN))
    yield made
    os.close(lock)


def test_the_token_goes_to_the_url_that_it_is_for_and_nowhere_else(folder: Path) -> None:
    assert url_here() == URL
    assert token_for(URL) == TOKEN
    for other in ("http://127.0.0.1:8182", "http://localhost:8181", "https://127.0.0.1:8181", f"{URL}/", f"{URL}0"):
        assert token_for(other) is None


def test_it_is_found_in_the_folder_that_identity_dev_takes_by_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IDENTITY_DATA")
    monkeypatch.chdir(folder.parent)
    assert url_here() is None
    folder.rename(folder.parent / ".data")
    assert (url_here(), token_for(URL)) == (URL, TOKEN)


def _remove(file: Path) -> None:
    file.unlink()


def _open_to_the_group(file: Path) -> None:
    file.chmod(0o640)


def _link(file: Path) -> None:
    other = file.rename(file.with_name("other"))
    file.symlink_to(other)


def _give_away(file: Path) -> None:
    shutil.chown(file, "nobody")


FAULTS = [_remove, _open_to_the_group, _link, *([_give_away] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", [FILE, LOCK])
def test_a_file_that_is_not_this_account_s_alone_is_not_believed(
    folder: Path, name: str, fault: Callable[[Path], None]
) -> None:
    fault(folder / name)
    assert (url_here(), token_for(URL)) == (None, None)


def test_a_folder_with_which_none_runs_gives_nothing(tmp_path: Path) -> None:
    """Somebody else may listen on the port by now; or the folder was sent along with files of somebody else's."""
    folder = tmp_path / "data"
    lock = lock_folder(folder)
    write_access(folder, Access(URL, TOKEN))
    assert access_of(folder) == Access(URL, TOKEN)
    os.close(lock)
    assert (folder / FILE).exists()
    assert access_of(folder) is None


def test_one_that_is_not_ready_yet_gives_nothing(folder: Path) -> None:
    forget_access(folder)
    assert url_here() is None
    forget_access(folder)  # twice is once


def test_asking_whether_a_folder_is_in_use_takes_it_from_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert not is_in_use(folder)
    assert not folder.exists()
    lock = lock_folder(folder)
    assert is_in_use(folder)
    with pytest.raises(FolderInUseError):
        lock_folder(folder)
    os.close(lock)
    assert not is_in_use(folder)
    os.close(lock_folder(folder))


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with loopback_server() as made:
        made.says({"items": [], "next_cursor": None})
        yield made


def tenants(**environment: str | None) -> Result:
    given = {"IDENTITY_URL": None, "IDENTITY_ADMIN_TOKEN": None}
    return CliRunner().invoke(main, ["tenant", "list", "--json"], env={**given, **environment})


def test_a_command_asks_the_identity_dev_of_its_folder(folder: Path, server: LoopbackServer) -> None:
    write_access(folder, Access(server.url, TOKEN))
    asked = tenants()
    assert asked.exit_code == 0, asked.output
    assert server.last_headers["authorization"] == f"Bearer {TOKEN}"


def test_a_command_sends_no_token_to_another_address(folder: Path, server: LoopbackServer) -> None:
    asked = tenants(IDENTITY_URL=server.url)
    assert (asked.exit_code, server.request_count) == (4, 0)
    assert f"there is no token for {server.url}" in asked.output


def test_a_token_that_is_given_is_the_one_that_is_sent(folder: Path, server: LoopbackServer) -> None:
    write_access(folder, Access(server.url, None))
    assert tenants().exit_code == 4
    assert tenants(IDENTITY_ADMIN_TOKEN="x" * 40).exit_code == 0
    assert server.last_headers["authorization"] == f"Bearer {'x' * 40}"
