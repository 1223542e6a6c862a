"""Two versions of the program over one schema: which processes are ready, and that those that are serve."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
import pytest

from server import schema as database_schema
from server.schema import COMPATIBLE_FROM, Schema, head_revision, migrate, migrate_down, revisions, schema_found
from tests.conftest import Server
from tests.upgrade.conftest import served
from tests.upgrade.flows import Day, live_through
from tests.upgrade.test_migrations import application_url

STEP = '''"""{name}"""

from alembic import op

revision = "{name}"
down_revision = "{after}"
branch_labels = None
depends_on = None
{more}

def upgrade() -> None:
    op.execute("""{up}""")


def downgrade() -> None:
    op.execute("""{down}""")
'''
EXPAND = """
ALTER TABLE principals ADD COLUMN shoe_size INTEGER;
CREATE TABLE shoes (tenant_id UUID NOT NULL, id UUID NOT NULL, CONSTRAINT pk_shoes PRIMARY KEY (tenant_id, id));
ALTER TABLE shoes ENABLE ROW LEVEL SECURITY;
ALTER TABLE shoes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_wall ON shoes TO PUBLIC USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT ON shoes TO identity_app
"""
SHRINK = "ALTER TABLE principals DROP COLUMN shoe_size; DROP TABLE shoes"

NO_SHOES = "CREATE TABLE shoes (tenant_id UUID)"

Later = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Later:
    """The next versions of the program, which know two steps more: the first expands, the second contracts."""
    folder = tmp_path / "migrations"
    shutil.copytree(database_schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    first = STEP.format(name="add_shoes", after=head_revision(), more="", up=EXPAND, down=SHRINK)
    # Takes away what this version never had, and says that no version before the one that added it is served.
    contract = {"more": 'serves_from = "add_shoes"\n', "up": "DROP TABLE shoes", "down": NO_SHOES}
    second = STEP.format(name="drop_shoes", after="add_shoes", **contract)
    (folder / "versions" / "20990101_add_shoes.py").write_text(first)
    (folder / "versions" / "20990102_drop_shoes.py").write_text(second)

    @contextmanager
    def of_later() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(database_schema, "MIGRATIONS", folder)
            revisions.cache_clear()
            yield
        revisions.cache_clear()

    return of_later


def readiness(http: httpx2.Client) -> tuple[int, str | None]:
    answer = http.get("/readyz")
    return answer.status_code, answer.json().get("detail")


def test_a_process_serves_on_while_a_later_version_expands_and_says_when_one_no_longer_serves_it(
    day: Day, owner_url: str, later: Later
) -> None:
    [http] = day.https
    assert readiness(http) == (200, None)
    with later():
        migrate(owner_url, "add_shoes")
    assert readiness(http) == (200, None)
    live_through(day)
    with later():
        migrate(owner_url)
    status, reason = readiness(http)
    assert status == 503
    assert reason is not None and "it is at drop_shoes, which does not serve this version" in reason
    with later():
        migrate_down(owner_url, "add_shoes")
    assert readiness(http) == (200, None)
    with later():
        migrate_down(owner_url, revisions()[-3])
    assert schema_found(owner_url).is_at_head


def test_a_process_starts_over_a_later_schema_that_serves_it(database_url: str, owner_url: str, later: Later) -> None:
    with later():
        migrate(owner_url, "add_shoes")
    with served(database_url) as http:
        assert readiness(http) == (200, None)
        live_through(Day([http]))


def test_this_version_serves_the_oldest_schema_that_it_says_it_can(empty_owner_url: str, server: Server) -> None:
    migrate(empty_owner_url, COMPATIBLE_FROM)
    with served(application_url(server, empty_owner_url)) as http:
        assert readiness(http) == (200, None)
        live_through(Day([http]))
        migrate(empty_owner_url)
        assert readiness(http) == (200, None)
        live_through(Day([http]))


def test_a_process_is_not_ready_before_the_oldest_schema_that_it_can_serve(
    empty_owner_url: str, server: Server
) -> None:
    before = revisions()[revisions().index(COMPATIBLE_FROM) - 1]
    migrate(empty_owner_url, before)
    with served(application_url(server, empty_owner_url)) as http:
        status, reason = readiness(http)
    assert status == 503
    assert reason is not None and f"it is at {before}, before {COMPATIBLE_FROM}: run `identity migrate`" in reason


@pytest.mark.parametrize(
    ("schema", "serves"),
    [
        (Schema(None), False),
        (Schema(head_revision()), True),
        (Schema(COMPATIBLE_FROM), True),
        (Schema(revisions()[0]), False),
        (Schema("later", head_revision()), True),
        (Schema("later", revisions()[0]), True),
        (Schema("later", "later"), False),
        (Schema("later", None), False),
    ],
)
def test_which_schemas_serve_this_version(schema: Schema, serves: bool) -> None:
    assert (schema.fault is None) is serves
