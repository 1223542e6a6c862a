"""Dumps by the scripts and the login of docs/operating.md, restored into an empty cluster; the product runs on it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.app import create_app
from config.settings import load_settings
from dev.postgres import LOGIN, OWNER, SUPERUSER, Cluster
from tests.fixtures import Seeded
from tests.restore.backing_up import ROOT, cluster_in, dumping_binaries, folder, run_script, script, superuser
from tests.restore.sowing import serving, sow

KEY = "A" * 43 + "="
BACKUP = "identity_backup"
COUNT = """
SELECT table_schema || '.' || table_name, (xpath('/row/c/text()', query_to_xml(
           format('SELECT count(*) AS c FROM %I.%I', table_schema, table_name), false, true, '')))[1]::text::bigint
  FROM information_schema.tables WHERE table_schema IN ('public', 'pgmq') AND table_type = 'BASE TABLE'
"""


@dataclass
class Origin:
    """A cluster with two tenants, of a version that can be dumped here."""

    cluster: Cluster
    binaries: Path
    seeded: tuple[Seeded, Seeded]


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    binaries = dumping_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL with pg_dump was found: install postgresql")
    with folder() as place, cluster_in(place, binaries, migrated=True) as cluster:
        seeded = sow(cluster)
        with superuser(cluster) as connection:
            connection.execute(made_in_the_manual(BACKUP))
        yield Origin(cluster, binaries, seeded)


def made_in_the_manual(role: str) -> bytes:
    manual = (ROOT / "docs" / "operating.md").read_text()
    [statement] = re.findall(rf"^CREATE ROLE {role} .*;$", manual, re.MULTILINE)
    return str(statement).encode()


def make_roles(cluster: Cluster) -> None:
    with superuser(cluster) as connection:
        for role in ("identity_app", "identity_relay"):
            connection.execute(made_in_the_manual(role))


def counts(cluster: Cluster) -> dict[str, int]:
    with superuser(cluster) as connection:
        return dict(connection.execute(COUNT).fetchall())


def test_a_dump_restores_every_row_into_an_empty_cluster_and_the_product_runs_on_it(
    origin: Origin, tmp_path: Path
) -> None:
    dump = tmp_path / "identity.dump"
    made = run_script(script("backup.sh", tmp_path), dump, origin.cluster, origin.binaries, BACKUP)
    assert (made.returncode, made.stderr) == (0, "")
    assert dump.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir() if "dump" in path.name] == ["identity.dump"]
    with folder() as place, cluster_in(place, origin.binaries) as empty:
        make_roles(empty)
        restored = run_script(script("restore.sh", tmp_path), dump, empty, origin.binaries, SUPERUSER)
        assert (restored.returncode, restored.stderr) == (0, "")
        empty.ensure_login()
        assert counts(empty) == counts(origin.cluster)
        assert counts(empty)["public.principals"] > 10
        create_app(load_settings(database_url=empty.url(role="identity_app"), key_encryption_key=KEY))
        with serving(empty, origin.seeded) as two_tenants:
            assert two_tenants.acme.is_live(two_tenants.acme.task_token())
            assert not two_tenants.rival.is_live(two_tenants.acme.task_token())


@pytest.mark.parametrize("login", [LOGIN, OWNER])
@pytest.mark.promise(4)
def test_no_other_login_makes_a_dump_or_what_looks_like_one(origin: Origin, tmp_path: Path, login: str) -> None:
    made = run_script(script("backup.sh", tmp_path), tmp_path / "identity.dump", origin.cluster, origin.binaries, login)
    assert made.returncode != 0
    assert "permission denied" in made.stderr or "row-level security" in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["backup.sh"]


def test_a_dump_that_fails_leaves_the_last_one_as_it_was(origin: Origin, tmp_path: Path) -> None:
    dump = tmp_path / "identity.dump"
    dump.write_text("yesterday's")
    assert run_script(script("backup.sh", tmp_path), dump, origin.cluster, origin.binaries, OWNER).returncode != 0
    assert dump.read_text() == "yesterday's"


def test_a_dump_that_was_cut_short_restores_nothing(origin: Origin, tmp_path: Path) -> None:
    dump = tmp_path / "identity.dump"
    run_script(script("backup.sh", tmp_path), dump, origin.cluster, origin.binaries, BACKUP)
    dump.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
    with folder() as place, cluster_in(place, origin.binaries) as empty:
        make_roles(empty)
        restored = run_script(script("restore.sh", tmp_path), dump, empty, origin.binaries, SUPERUSER)
        assert (restored.returncode, "could not read" in restored.stderr) == (1, True)
        assert counts(empty) == {}


@pytest.mark.promise(4)
def test_the_backup_s_login_is_refused_by_the_product(origin: Origin) -> None:
    url = origin.cluster.url(role="identity_app").replace(LOGIN, BACKUP)
    with pytest.raises(Exception, match="may not become identity_app"):
        create_app(load_settings(database_url=url, key_encryption_key=KEY))
