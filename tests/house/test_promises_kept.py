"""What the documents and pins say is what is there."""

import itertools
import re
import tomllib
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from packaging.requirements import Requirement
from sqlalchemy import create_engine, text

from config.settings import PREFIX, Settings
from identity.store.tables import metadata
from server.schema import head_revision, migrate, schema_found
from tests.house.sources import ROOT, sources

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WHAT_TOUCHES_TOKENS_OR_BYTES = {
    "alembic", "authlib", "celery", "cryptography", "flask", "granian", "httpx2", "joserfc", "kombu", "pgmq", "psycopg",
    "pydantic", "pydantic-settings", "scim2-filter-parser", "sly", "sqlalchemy", "werkzeug",
}  # fmt: skip


def pins(lines: list[str]) -> dict[str, str]:
    """Return the exact version of every requirement; an inexact one is empty."""
    found = [Requirement(line) for line in lines]
    return {one.name.lower().replace("_", "-"): exact(one) for one in found}


def exact(requirement: Requirement) -> str:
    clauses = list(requirement.specifier)
    is_exact = len(clauses) == 1 and clauses[0].operator == "==" and "*" not in clauses[0].version
    return clauses[0].version if is_exact else ""


def test_every_setting_is_in_the_operators_manual() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text()
    missing = [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in manual]
    assert missing == []


def test_the_manual_names_no_setting_that_is_not_there() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text()
    named = {name.removeprefix(PREFIX).lower() for name in re.findall(r"^\| .*?(?= \|)", manual, re.MULTILINE)
             for name in re.findall(rf"{PREFIX}\w+", name)}  # fmt: skip
    assert named - Settings.model_fields.keys() == set()


def test_what_touches_tokens_bytes_or_sql_is_pinned_exactly() -> None:
    pinned = pins(PROJECT["dependencies"])
    assert pinned.keys() >= WHAT_TOUCHES_TOKENS_OR_BYTES
    assert {name for name, version in pinned.items() if not version} == set()


def test_the_whole_tree_is_pinned_and_says_the_same() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    tree = pins(lines)
    assert {name for name, version in tree.items() if not version} == set()
    extras = itertools.chain(*PROJECT["optional-dependencies"].values())
    asked = pins([*PROJECT["dependencies"], *extras])
    not_in_it = {"identity-verifier", "setuptools"}  # ours; and what pip leaves out when it lists what is installed
    assert {name: pin for name, pin in asked.items() if name not in not_in_it and tree.get(name) != pin} == {}


def differences(owner_url: str) -> list[Any]:
    engine = create_engine(owner_url)
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return list(found)


def test_the_migrated_schema_is_the_one_that_the_store_declares(owner_url: str) -> None:
    assert differences(owner_url) == []


def test_an_empty_database_is_brought_to_the_head_and_a_second_time_changes_nothing(empty_owner_url: str) -> None:
    assert schema_found(empty_owner_url).revision is None
    migrate(empty_owner_url)
    assert schema_found(empty_owner_url).revision == head_revision()
    assert differences(empty_owner_url) == []
    before = catalogue(empty_owner_url)
    migrate(empty_owner_url)
    assert catalogue(empty_owner_url) == before


def catalogue(owner_url: str) -> list[Any]:
    engine = create_engine(owner_url)
    query = "SELECT oid, relname, relkind, relrowsecurity, relacl::text FROM pg_class WHERE oid > 16384 ORDER BY oid"
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


@pytest.mark.parametrize(
    "name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"]
)
def test_what_a_newcomer_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).read_text().strip()


DIVERGENCES = (ROOT / "docs" / "divergences.md").read_text()
MARK = re.compile(r'(?:# (?:of an add: )?|""" ?)"([a-z][a-z0-9 ,.-]+)"')


def test_every_place_where_an_oracle_reads_in_one_way_only_is_named() -> None:
    marks = {mark for source in sources("tests/oracles") for mark in MARK.findall(source.text)}
    assert len(marks) >= 20
    assert {mark for mark in marks if mark not in DIVERGENCES.replace("`", "")} == set()


def test_every_test_that_the_divergences_name_is_there() -> None:
    named = set(re.findall(r"`(\w+/\w+\.py)`", DIVERGENCES))
    assert {name for name in named if not (ROOT / "tests" / name).is_file()} == set()
