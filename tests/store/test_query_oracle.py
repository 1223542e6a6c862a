"""The statement that a filter becomes finds whom a naive reading of the RFC finds in what clients are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import create_principal, delete_principal, get_principal
from identity.actions.tenants import create_tenant
from identity.model.access import Caller, CallerKind
from identity.model.errors import InvalidRequest
from identity.model.ids import TenantId
from identity.model.principal import Email, Kind, Profile, Resource
from identity.store.query import compile_condition
from identity.store.tables import principals
from identity.store.transaction import make_engine, transaction
from scim.filter.resolve import parse_filter
from scim.resource.document import render
from scim.resource.locations import Endpoints
from tests.oracles import filters
from tests.oracles.differences import catalogue, known, user_type
from tests.oracles.making import Choose, a_document, a_filter, chooser
from tests.trials import trials

CALLER = Caller(CallerKind.WORKER, "tests", "request-of-tests")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHOOSING = st.binary(min_size=20, max_size=80).map(chooser)


@dataclass(frozen=True, slots=True, repr=False)
class Directory:
    """Users of one tenant as clients see them, beside a rival that has the same."""

    engine: Any
    tenant_id: TenantId
    shown: dict[UUID, dict[str, Any]]

    def find(self, text: str) -> set[UUID]:
        """Return whom the statement finds. Raises ``InvalidRequest``."""
        condition = parse_filter(text, user_type())
        with transaction(self.engine, self.tenant_id) as tx:
            statement = select(principals.c.id).where(
                principals.c.tenant_id == tx.tenant_id,
                principals.c.kind == Kind.USER,
                compile_condition(condition, kind=Kind.USER, tenant_id=tx.tenant_id),
            )
            return set(tx.execute(statement).scalars())

    def expect(self, text: str) -> set[UUID]:
        """Return whom the oracle finds. Raises ``NoFilterError``."""
        tree = filters.parse(text)
        filters.check(tree, known())
        return {id_ for id_, resource in self.shown.items() if filters.holds(tree, known(), resource)}


@pytest.fixture
def directory(database_url: str) -> Iterator[Directory]:
    engine = make_engine(database_url)
    filled = [_fill(engine, slug) for slug in ("rival", "acme")]
    yield filled[1]
    engine.dispose()


def _fill(engine: Any, slug: str) -> Directory:
    tenant_id = TenantId(uuid4())
    with transaction(engine, tenant_id) as tx:
        create_tenant(
            tx, slug=slug, display_name=slug, encryption=EnvelopeEncryption(bytes(32)), caller=CALLER, now=NOW
        )
        made = [create_principal(tx, Kind.USER, profile, caller=CALLER, now=NOW) for profile in _people()]
        groups = [_group(tx, name, made[::step]) for name, step in (("A", 2), ("ab", 3), ("gone", 5))]
        delete_principal(tx, Kind.GROUP, groups[-1], expected_version=None, caller=CALLER, now=NOW)
        resources = [get_principal(tx, Kind.USER, each.principal.id, caller=CALLER) for each in made]
    return Directory(engine, tenant_id, {each.principal.id: _shown(each) for each in resources})


def _group(tx: Any, name: str, members: list[Resource]) -> UUID:
    ids = frozenset(resource.principal.id for resource in members)
    made = create_principal(tx, Kind.GROUP, _profile({"displayName": name}, name), members=ids, caller=CALLER, now=NOW)
    return made.principal.id


def _people() -> list[Profile]:
    made = []
    for n in range(40):
        document = a_document(chooser(bytes((n * 37 + i * (2 * n + 1)) % 251 for i in range(60))))
        document |= {"userName": f"{document['userName']}-{n}"}
        if "externalId" in document:
            document["externalId"] += str(n)
        made.append(_profile(document, document["userName"]))
    return made


def _profile(document: dict[str, Any], name: str) -> Profile:
    emails = (email for email in document.get("emails", ()) if "value" in email)
    return Profile(
        document=document,
        name=name,
        external_id=document.get("externalId"),
        display_name=document.get("displayName"),
        active=document.get("active", True),
        emails=tuple(Email(email["value"], email.get("type")) for email in emails),
    )


def _shown(resource: Resource) -> dict[str, Any]:
    """Return what a client reads."""
    return render(resource.stored, user_type(), Endpoints("https://identity.example", catalogue()))


def words(choose: Choose) -> str:
    """Return a filter, or a question about groups, which are rows beside a user."""
    groups = [
        'groups.display eq "a"', 'groups[display sw "A" and type eq "direct"]', 'not (groups[type ne "direct"])',
        "groups pr", 'groups.type eq "Group"', 'groups.display gt "a"', "groups.display pr and title pr", "id pr",
        'groups.display eq "gone"',
        'groups.value eq "x"', 'meta.version eq "W/\\"1\\""', 'meta.resourceType eq "user"', 'meta.created pr',
    ]  # fmt: skip
    return str(choose([*groups, None, None])) if choose([False] * 9 + [True]) else a_filter(choose)


@pytest.mark.rfc("7644", "3.4.2.2")
@settings(max_examples=trials(500), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choose=CHOOSING)
def test_the_statement_finds_whom_the_naive_evaluator_finds(directory: Directory, choose: Choose) -> None:
    text = words(choose)
    try:
        found = directory.find(text)
    except InvalidRequest:
        return  # whether that is right, tests/scim/test_oracles.py asks
    assert found == directory.expect(text), text


def test_the_directory_is_not_all_alike(directory: Directory) -> None:
    """The comparison is worth something: questions of every kind find some and not all."""
    for text in ("title pr", 'emails.value co "x"', "active eq true", 'groups.display eq "ab"'):
        assert 0 < len(directory.find(text)) < len(directory.shown), text
