"""Every dataclass that is read from a row or from JSON comes back as it was written, from both."""

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

import identity.store
from identity.model.client import AuthMethod, Client
from identity.model.connection import Connection as SourceConnection
from identity.model.delegation import Delegation
from identity.model.event import RecordedEvent
from identity.model.outbox import OutboxRow, OutboxState
from identity.model.principal import Kind
from identity.model.resource import DetailsType, ResourceServer
from identity.model.task import Budget
from identity.model.tenant import Tenant
from identity.model.token import Crossing, Cutoff, GrantStatus, Party, TokenFacts
from identity.model.upstream_token import Upstream
from identity.store.clients import auth_method_sql
from identity.store.facts import Source
from identity.store.resources import TYPES, details_types_sql
from identity.store.rows import RowMapper, json_of, json_reader, row_reader
from identity.store.tables import connections, tenants
from tests.conftest import TEMPLATE, Server

NOW = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)


def _mappers() -> dict[str, RowMapper[Any]]:
    found = {}
    for module in pkgutil.iter_modules(identity.store.__path__):
        named = vars(importlib.import_module(f"identity.store.{module.name}"))
        found |= {each.cls.__name__: each for each in named.values() if isinstance(each, RowMapper)}
    return found


MAPPERS = _mappers()
ONLY_JSON = (TokenFacts, Party, GrantStatus, Crossing, Cutoff, Source, Upstream, Budget)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
INSTANTS = st.integers(0, 10**15).map(lambda number: NOW + timedelta(microseconds=number))
JSON_VALUES = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXTS | st.lists(TEXTS, max_size=2)
SCALARS: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: INSTANTS,
    bytes: st.binary(max_size=40),
    Any: JSON_VALUES,
    Kind: st.sampled_from([*Kind, Kind("custom:Device")]),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a type hint, as the model writes them."""
    hint = getattr(hint, "__supertype__", hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if NoneType in arguments:
        return st.none() | values_of(arguments[0])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if hint in SCALARS:
        return SCALARS[hint]
    if is_dataclass(hint):
        return instances_of(hint)
    if issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    return st.tuples(*map(values_of, get_type_hints(hint).values())).map(hint._make)


def instances_of(cls: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    made = st.builds(cls, **{field.name: values_of(hints[field.name]) for field in fields(cls)})
    return made.map(COHERENT.get(cls, lambda value: value))


def _without_provisioning(recorded: RecordedEvent) -> RecordedEvent:
    return replace(recorded, event=replace(recorded.event, provisioning=None))


def _with_types_once(server: ResourceServer) -> ResourceServer:
    """Return a resource server whose types have different names, as every registered one."""
    live, retired = server.authorization_details_types, server.retired_types
    return replace(
        server,
        authorization_details_types=tuple(DetailsType(f"live-{n}", each.scopes) for n, each in enumerate(live)),
        retired_types=tuple(DetailsType(f"retired-{n}", each.scopes) for n, each in enumerate(retired)),
    )


def _in_its_state(row: OutboxRow) -> OutboxRow:
    state = OutboxState.DONE if row.done_at else OutboxState.DEAD if row.dead_at else OutboxState.WAITING
    return replace(row, state=state)


COHERENT: Mapping[Any, Any] = {
    RecordedEvent: _without_provisioning,
    ResourceServer: _with_types_once,
    OutboxRow: _in_its_state,
}


def _client_columns(client: Client) -> dict[str, Any]:
    posts_secret = client.auth_method is AuthMethod.CLIENT_SECRET_POST
    method = AuthMethod.CLIENT_SECRET_BASIC if posts_secret else client.auth_method
    return {"token_endpoint_auth_method": method, "posts_secret": posts_secret}


def _server_columns(server: ResourceServer) -> dict[str, Any]:
    ever = (*server.authorization_details_types, *server.retired_types)
    return {
        **{name: [each.type for each in getattr(server, name)] for name in TYPES},
        "authorization_details_scopes": {each.type: list(each.scopes) for each in ever if each.scopes},
    }


MORE_COLUMNS: Mapping[Any, Any] = {
    Client: _client_columns,
    ResourceServer: _server_columns,
    Tenant: lambda tenant: {"tenant_id": tenant.id},
}
"""Columns of which a field is computed."""

EXPRESSIONS: Mapping[Any, dict[str, str]] = {
    Client: {"auth_method": auth_method_sql("x")},
    ResourceServer: {name: details_types_sql("x", name) for name in TYPES},
    Tenant: {"id": "x.tenant_id"},
}
NOT_READ_AS_JSON = {"RecordedEvent", "OutboxRow"}


@dataclass(frozen=True, slots=True)
class Scratch:
    """Tables like those of the store, but without its constraints, in one session of the owner's."""

    connection: Connection

    def kept(self, mapper: RowMapper[Any], value: Any) -> tuple[Any, Any]:
        """Return a value as it is read from the row and from the JSON object that it was written as."""
        table, cls = mapper.table, mapper.cls
        columns = mapper.values(value) | {"tenant_id": uuid4()} | MORE_COLUMNS.get(cls, lambda _: {})(value)
        needed = (c for c in table.c if not c.nullable and c.server_default is None and c.name not in columns)
        columns |= {column.name: _filler(column.type) for column in needed}
        self.connection.execute(text(f"DELETE FROM {table.name}"))
        self.connection.execute(insert(table).values(columns))
        read = mapper.read(self.connection.execute(select(*mapper.columns)).one())
        if cls.__name__ in NOT_READ_AS_JSON:
            return read, read
        spelt = json_of(table, cls, "x", **EXPRESSIONS.get(cls, {}))
        found = self.connection.execute(text(f"SELECT {spelt} FROM {table.name} x")).scalar_one()
        return read, json_reader(cls)(found)


def _filler(type_: Any) -> Any:
    kinds = {ARRAY: [], JSONB: {}}
    by_python = {UUID: uuid4(), str: "", bytes: b"", datetime: NOW, int: 0, bool: False}
    return kinds[type(type_)] if type(type_) in kinds else by_python[type_.python_type]


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[Scratch]:
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    engine = create_engine(server.url(name))
    with engine.connect() as connection:
        for mapper in MAPPERS.values():
            table = mapper.table.name
            connection.execute(
                text(f"CREATE TEMP TABLE IF NOT EXISTS {table} (LIKE public.{table} INCLUDING DEFAULTS)")
            )
        yield Scratch(connection)
    engine.dispose()
    server.drop(name)


@pytest.mark.parametrize("name", sorted(MAPPERS))
def test_a_value_is_the_same_from_its_row_and_from_its_json(scratch: Scratch, name: str) -> None:
    mapper = MAPPERS[name]

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances_of(mapper.cls))
    def check(value: Any) -> None:
        assert scratch.kept(mapper, value) == (value, value)

    check()


def spelt(value: Any) -> Any:
    """Return a value as PostgreSQL spells it in JSON."""
    if is_dataclass(value):
        return {field.name: spelt(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): spelt(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [spelt(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, UUID) else value


@pytest.mark.parametrize("cls", ONLY_JSON)
def test_a_value_is_read_back_from_json(cls: Any) -> None:
    @settings(max_examples=50, deadline=None)
    @given(instances_of(cls))
    def check(value: Any) -> None:
        assert json_reader(cls)(json.loads(json.dumps(spelt(value)))) == value

    check()


def test_every_noun_of_the_store_has_its_mapper() -> None:
    assert len(MAPPERS) >= 19


def test_null_for_a_list_is_the_empty_one_and_for_what_may_be_absent_none() -> None:
    read = json_reader(TokenFacts)
    hints = get_type_hints(TokenFacts)
    nothing = read(dict.fromkeys(hints))
    assert nothing.parties == nothing.scopes == ()
    assert nothing.upstream is nothing.memberships is nothing.txn is None


def test_a_document_of_an_earlier_version_gets_the_defaults_of_what_it_lacks() -> None:
    assert json_reader(Budget)({"tokens": 3}) == Budget(tokens=3)
    assert json_reader(Upstream)({"acr": "high"}) == Upstream(acr="high")


def test_a_document_that_lacks_what_has_no_default_is_refused() -> None:
    with pytest.raises(KeyError, match="kind"):
        json_reader(Party)({"id": str(uuid4())})


@dataclass(frozen=True, slots=True)
class Odd:
    slug: complex


@dataclass(frozen=True, slots=True)
class Strange:
    slug: str
    unheard_of: int


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (lambda: RowMapper(tenants, Tenant), "there is no column for Tenant.id"),
        (lambda: RowMapper(tenants, Strange), "there is no column for Strange.unheard_of"),
        (
            lambda: RowMapper(tenants, Tenant, id=literal("x"), nothing=literal("x")),
            "Tenant has no field nothing",
        ),
        (lambda: RowMapper(tenants, Odd), "no conversion for <class 'complex'>"),
        (lambda: row_reader(Odd), "no conversion for <class 'complex'>"),
        (lambda: json_reader(Odd), "no conversion for <class 'complex'>"),
        (lambda: json_of(tenants, Strange, "t"), "tenants has no column for Strange.unheard_of"),
        (lambda: json_of(connections, SourceConnection, "u", nothing="1"), "Connection has no field nothing"),
    ],
)
def test_a_column_that_is_not_there_fails_when_the_mapper_is_made(build: Any, fault: str) -> None:
    with pytest.raises(TypeError, match=fault):
        build()


def test_a_dataclass_within_another_is_read_from_columns_of_the_same_row() -> None:
    mapper = MAPPERS["Connection"]
    names = [column.name for column in mapper.columns]
    assert "policy" not in names
    assert names.index("max_age_s") == names.index("token_kinds") + 1


def test_only_the_columns_that_are_named_are_written() -> None:
    delegation = Delegation(UUID(int=1), UUID(int=2), None, UUID(int=3), "r", ("a",), ({"type": "t"},), 1, 1, NOW, None,
                            None, None)  # fmt: skip
    written = MAPPERS["Delegation"].values(delegation, "scopes", "authorization_details")
    assert written == {"scopes": ["a"], "authorization_details": [{"type": "t"}]}
