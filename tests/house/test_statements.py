"""Every statement names its tenant. What tests make the application say is watched in every test: see conftest.py."""

import ast
import importlib
import pkgutil
import re

import pytest
from sqlalchemy import TextClause

import identity.store
from tests.house.sources import Source, sources
from tests.house.statements import tables_unnamed

OVER_ALL_TENANTS = {"outbox.TENANTS_DUE", "outbox.IS_UNTAKEN", "outbox.SUMMARY"}
"""What the relay says: its role sees the outbox of every tenant, and nothing else."""

WITHOUT_A_TENANT = {
    "tenants.tenant_find": "the registry: a tenant is found by its slug",
    "notices.listen": "LISTEN reads no table",
    "queue.connection": "BEGIN reads no table",
    "queue.message_set_aside": "the queue holds ids, of every tenant",
    "queue.queue_waiting": "the same",
    "tx.execute": "the door through which all others go",
}


def texts() -> dict[str, str]:
    """Return every SQL text of the store, by module and name."""
    found = {}
    for module in pkgutil.iter_modules(identity.store.__path__):
        named = vars(importlib.import_module(f"identity.store.{module.name}"))
        found |= {f"{module.name}.{name}": value.text for name, value in named.items() if isinstance(value, TextClause)}
    return found


@pytest.mark.promise(4)
def test_every_sql_text_names_the_tenant_of_every_table_it_touches() -> None:
    unnamed = {name for name, text in texts().items() if tables_unnamed(text)}
    assert len(texts()) > 15
    assert unnamed == OVER_ALL_TENANTS


def forgetful(source: Source) -> list[str]:
    """Return the functions that run a statement and neither speak of a tenant nor run one of the texts above."""
    room = source.path.removeprefix("identity/store/").removesuffix(".py")
    named = re.compile("|".join(["tenant_id", "'tenant'", *(rf"\b{name.split('.')[1]}\b" for name in texts())]))
    return [
        f"{room}.{function.name}"
        for function in source.functions()
        if ".execute(" in ast.unparse(function) and not named.search(ast.unparse(function))
    ]


@pytest.mark.promise(4)
def test_every_function_that_runs_a_statement_names_the_tenant() -> None:
    found = {name for source in sources("identity/store") for name in forgetful(source)}
    assert found - WITHOUT_A_TENANT.keys() == set()
    assert WITHOUT_A_TENANT.keys() - found == set(), "take off the list what names its tenant by now"


@pytest.mark.parametrize(
    ("statement", "is_named"),
    [
        ("SELECT id FROM principals WHERE tenant_id = 1", True),
        ("SELECT id FROM principals WHERE id = 1", False),
        ("SELECT tenant_id, id FROM principals", False),
        ("SELECT p.id FROM principals p JOIN tokens t ON t.subject_id = p.id WHERE p.tenant_id = 1", False),
        ("SELECT p.id FROM principals p JOIN tokens t ON t.tenant_id = p.tenant_id WHERE p.tenant_id = 1", True),
        ("SELECT 1 FROM principals, tokens WHERE principals.tenant_id = 1", False),
        ("INSERT INTO tokens (tenant_id, jti) VALUES (1, 2)", True),
        ("INSERT INTO tokens (jti) VALUES (2)", False),
        ("INSERT INTO tokens (tenant_id, jti) SELECT tenant_id, id FROM principals", False),
        ("UPDATE tokens SET revoked_at = now()", False),
        ("UPDATE tokens SET revoked_at = now() WHERE tenant_id = 1", True),
        ("DELETE FROM tokens", False),
        ("DELETE FROM tokens USING tasks WHERE tokens.tenant_id = 1", False),
        ("SELECT tenants.slug FROM tenants WHERE tenants.slug = 'x'", True),
        ("SELECT tenants.slug FROM tenants", False),
        ("SELECT set_config('app.tenant', 'x', true)", True),
        ("BEGIN; SET LOCAL app.tenant = 'x'", True),
    ],
)
def test_the_rule_tells_a_named_tenant_from_a_forgotten_one(statement: str, is_named: bool) -> None:
    assert (not tables_unnamed(statement)) is is_named
