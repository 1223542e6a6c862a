"""What the store compiles finds exactly what the condition means, in one tenant, and never anything else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import create_principal
from identity.actions.tenants import create_tenant
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.principal import Email, Kind, Profile
from identity.model.query import Condition, matches
from identity.store.query import compile_condition
from identity.store.tables import principals
from identity.store.transaction import make_engine, transaction
from scim.filter.resolve import parse_filter
from scim.schema.resource_types import resource_type_of
from tests.trials import trials

CALLER = Caller(CallerKind.WORKER, "tests", "request-of-tests")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SEAL = EnvelopeEncryption(bytes(32))

WORDS = ["a", "A", "ab", "b", "work", "Work", "%", "_", "\\", "a%b", "日本", "x@y.example"]


def people() -> list[dict[str, Any]]:
    """Return documents in which each attribute is present, absent, and of every word."""
    made: list[dict[str, Any]] = []
    for n in range(48):
        word, other = WORDS[n % len(WORDS)], WORDS[(n * 5 + 1) % len(WORDS)]
        document: dict[str, Any] = {"userName": f"{word}-{n}", "active": n % 3 != 0}
        if n % 2:
            document["title"] = word
        if n % 3:
            document["displayName"] = other
        if n % 4:
            document["name"] = {"familyName": word, "givenName": other}
        if n % 5:
            document["emails"] = [
                {"value": f"{word}@x", "type": "work", "primary": True},
                {"value": f"{other}@x", **({"type": "home"} if n % 7 else {})},
            ]
        if n % 6:
            document["roles"] = [{"value": other, "primary": n % 4 == 1}, {"value": word, "type": other}]
        if n % 7:
            document[ENTERPRISE] = {"department": word, "manager": {"value": other}}
        if n % 4 == 0:
            document["externalId"] = f"{word}{n}"
        made.append(document)
    return made


@dataclass(frozen=True, slots=True)
class Directory:
    """Principals of one tenant, beside another tenant that holds the same."""

    engine: Any
    tenant_id: TenantId
    documents: dict[UUID, dict[str, Any]]

    def find(self, condition: Condition) -> set[UUID]:
        with transaction(self.engine, self.tenant_id) as tx:
            statement = select(principals.c.id).where(
                principals.c.tenant_id == tx.tenant_id,
                principals.c.kind == Kind.USER,
                compile_condition(condition, kind=Kind.USER, tenant_id=tx.tenant_id),
            )
            return set(tx.execute(statement).scalars())

    def expect(self, condition: Condition) -> set[UUID]:
        return {id_ for id_, document in self.documents.items() if matches(condition, document)}


@pytest.fixture
def directory(database_url: str) -> Iterator[Directory]:
    engine = make_engine(database_url)
    filled = [_fill(engine, slug) for slug in ("rival", "acme")]
    yield filled[1]
    engine.dispose()


def _fill(engine: Any, slug: str) -> Directory:
    tenant_id, documents = TenantId(uuid4()), {}
    with transaction(engine, tenant_id) as tx:
        create_tenant(tx, slug=slug, display_name=slug, encryption=SEAL, caller=CALLER, now=NOW)
        for document in people():
            profile = Profile(
                document=document,
                name=document["userName"],
                external_id=document.get("externalId"),
                display_name=document.get("displayName"),
                active=document["active"],
                emails=tuple(Email(email["value"], email.get("type")) for email in document.get("emails", ())),
            )
            made = create_principal(tx, Kind.USER, profile, caller=CALLER, now=NOW).principal
            documents[made.id] = {**document, "id": str(made.id), "meta": {"created": NOW.isoformat()}}
    return Directory(engine, tenant_id, documents)


TEXTS = st.sampled_from(
    [
        *(
            "userName",
            "title",
            "displayName",
            "name.familyName",
            "emails.value",
            "emails.type",
            "emails",
            "roles.value",
        ),
        *("externalId", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager", "name.givenName", "roles.type"),
    ]
)
OPERATORS = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
VALUES = st.sampled_from([*WORDS, "", "a@x", "A@X", "b-3", "A-1", "home"]).map(json.dumps)
LEAVES = st.one_of(
    st.builds("{} {} {}".format, TEXTS, OPERATORS, VALUES),
    st.builds("{} pr".format, TEXTS),
    st.builds("emails[type {} {} and value {} {}]".format, OPERATORS, VALUES, OPERATORS, VALUES),
    st.builds("emails[type eq {}].value eq {}".format, VALUES, VALUES),
    st.builds("roles[primary eq true and not (value {} {})]".format, OPERATORS, VALUES),
    st.sampled_from(
        ["active eq true", "active eq false", "active ne true", "roles.primary eq true", "name pr", "roles pr"]
    ),
    st.sampled_from([f'schemas eq "{ENTERPRISE}"', f"{ENTERPRISE} pr", f"{ENTERPRISE}:manager pr", "title eq null"]),
    st.sampled_from(['meta.created ge "2026-11-24T12:00:00Z"', 'meta.created gt "2026-11-24T13:00:00+01:00"', "id pr"]),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=5,
)


@pytest.mark.requirement("S8")
@settings(max_examples=trials(600), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=FILTERS)
@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-1", "3.4.2.2-8")
def test_the_statement_finds_what_the_condition_means(directory: Directory, text: str) -> None:
    condition = parse_filter(text, resource_type_of(Kind.USER))
    assert directory.find(condition) == directory.expect(condition), text


MANY_PEOPLE = """
WITH made AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, external_id, display_name, display_name_key,
                            document, created_at, updated_at)
    SELECT '{tenant}', gen_random_uuid(), 'user', 'active', 'u' || n, 'u' || n, 'e' || n, 'd' || n, 'd' || n,
           '{{}}', now(), now()
      FROM generate_series({first}, {first} + 499) AS n
    RETURNING tenant_id, id, name)
INSERT INTO principal_emails (tenant_id, principal_id, position, value_key, type)
SELECT tenant_id, id, 0, name || '@x', 'work' FROM made
"""

INDEXED = {
    'userName eq "U7"': "uq_principals_name",
    'externalId eq "e7"': "principals_external_id",
    'displayName eq "D7"': "ix_principals_display_name",
    'emails.value eq "u7@X"': "ix_principal_emails_value",
    'emails[type eq "work" and value eq "u7@x"]': "ix_principal_emails_value",
    'userName eq "u7" and active eq true': "uq_principals_name",
}


def test_what_identity_providers_match_by_is_answered_by_an_index(directory: Directory, owner_url: str) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET app.tenant = '{directory.tenant_id}'")
        for first in range(
            1, 20_000, 500
        ):  # each is counted in one row, which gets a version for each until the commit
            owner.execute(MANY_PEOPLE.format(tenant=directory.tenant_id, first=first))
        owner.execute("ANALYZE principals, principal_emails")
    for text, index in INDEXED.items():
        condition = parse_filter(text, resource_type_of(Kind.USER))
        assert len(directory.find(condition)) == 1
        assert index in _plan(directory, condition), text


def _plan(directory: Directory, condition: Condition) -> str:
    with transaction(directory.engine, directory.tenant_id) as tx:
        statement = select(principals.c.id).where(
            principals.c.tenant_id == tx.tenant_id,
            principals.c.kind == Kind.USER,
            principals.c.deleted_at.is_(None),
            compile_condition(condition, kind=Kind.USER, tenant_id=tx.tenant_id),
        )
        compiled = statement.compile(directory.engine, compile_kwargs={"render_postcompile": True})
        return "\n".join(tx.connection.exec_driver_sql("EXPLAIN " + str(compiled), compiled.params).scalars())
