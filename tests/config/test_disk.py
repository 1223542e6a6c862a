"""How much room the database has, where that can be known."""

from pathlib import Path

import pytest

from cli import disk
from cli.disk import Room, data_folder_of, room_of
from cli.doctor_database import disk_has_room
from config.settings import load_settings


def test_the_data_of_a_database_on_this_machine_is_found_by_its_socket(database_url: str) -> None:
    folder = data_folder_of(database_url)
    assert folder is not None
    assert (folder / "PG_VERSION").exists()
    room = room_of(database_url)
    assert room is not None
    assert 0 < room.free <= room.total


@pytest.mark.parametrize(
    "url",
    ["postgresql://x@db.example/identity", "postgresql://x@/identity", "postgresql://x@/identity?host=/nonexistent"],
)
def test_of_any_other_nothing_is_known_and_that_is_said(url: str) -> None:
    assert room_of(url) is None
    found = disk_has_room(load_settings(database_url=url))
    assert found.is_well
    assert "cannot be seen from here" in found.advice


@pytest.mark.parametrize(("free", "is_well"), [(100, True), (99, False), (0, False)])
def test_less_than_a_tenth_is_little(
    database_url: str, monkeypatch: pytest.MonkeyPatch, free: int, is_well: bool
) -> None:
    monkeypatch.setattr("cli.doctor_database.room_of", lambda _: Room(Path("/data"), free * 10**6, 10**9))
    found = disk_has_room(load_settings(database_url=database_url))
    assert found.is_well is is_well
    assert is_well or f"{free} MB of 1000 MB are free in /data" in found.advice


def test_a_lock_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    (tmp_path / f".s.PGSQL.{disk.PORT}.lock").write_text("only one line")
    assert data_folder_of(f"postgresql://x@/identity?host={tmp_path}") is None
