"""From the JSON in which one statement gathers many rows, to what the model knows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.client import Client, GrantType
from identity.model.connection import Connection, ConnectionKind, Match, TokenKind, UpstreamAct, UpstreamPolicy
from identity.model.delegation import Delegation
from identity.model.principal import Kind
from identity.model.resource import DetailsType, ResourceServer
from identity.model.resource_pair import ResourcePair
from identity.model.signing_key import KeyState, SigningKey
from identity.model.task import Budget, Task, TaskAuthority, TaskState
from identity.model.token import Crossing, Cutoff, GrantStatus, Party, TokenFacts
from identity.model.upstream_token import Upstream
from identity.store.clients import auth_method_from


def instant_or_none(value: str | None) -> datetime | None:
    """Return the instant that JSON spells, if any."""
    return None if value is None else datetime.fromisoformat(value)


def instant_from(value: str) -> datetime:
    """Return the instant that JSON spells."""
    return datetime.fromisoformat(value)


def id_or_none(value: str | None) -> UUID | None:
    """Return the id that JSON spells, if any."""
    return None if value is None else UUID(value)


def ids_from(values: Iterable[str]) -> tuple[UUID, ...]:
    """Return the ids that JSON spells."""
    return tuple(map(UUID, values))


def client_from(item: Mapping[str, Any]) -> Client:
    """Return the client in a JSON row."""
    return Client(
        client_id=item["client_id"],
        client_name=item["client_name"],
        principal_id=id_or_none(item["principal_id"]),
        audience=item["audience"],
        connection_id=id_or_none(item["connection_id"]),
        auth_method=auth_method_from(item["token_endpoint_auth_method"], posts_secret=item["posts_secret"]),
        secret_hash=bytes.fromhex(item["secret_hash"]) if item["secret_hash"] else None,
        jwks=item["jwks"],
        scopes=tuple(item["scopes"]),
        grant_types=tuple(map(GrantType, item["grant_types"])),
        version=item["version"],
        created_at=instant_from(item["created_at"]),
        revoked_at=instant_or_none(item["revoked_at"]),
    )


def connection_from(item: Mapping[str, Any]) -> Connection:
    """Return the OIDC connection in a JSON row."""
    return Connection(
        id=UUID(item["id"]),
        kind=ConnectionKind.OIDC,
        name=item["name"],
        dialect=None,
        issuer=item["issuer"],
        jwks_uri=item["jwks_uri"],
        jwks=item["jwks"],
        audiences=tuple(item["audiences"]),
        subject_claim=item["subject_claim"],
        match=Match(item["match"]),
        provisioned_by=id_or_none(item["provisioned_by"]),
        policy=UpstreamPolicy(
            token_kinds=tuple(map(TokenKind, item["token_kinds"])),
            max_age_s=item["max_age_s"],
            max_lifetime_s=item["max_lifetime_s"],
            upstream_act=UpstreamAct(item["upstream_act"]),
        ),
        version=item["version"],
        created_at=instant_from(item["created_at"]),
        ended_at=instant_or_none(item["ended_at"]),
        epoch=item["epoch"],
    )


def key_from(item: Mapping[str, Any]) -> SigningKey:
    """Return the signing key in a JSON row."""
    return SigningKey(
        kid=item["kid"],
        alg=item["alg"],
        state=KeyState.LIVE,
        public_jwk=item["public_jwk"],
        sealed_private=bytes.fromhex(item["sealed_private"]),
        created_at=instant_from(item["created_at"]),
        activates_at=instant_from(item["activates_at"]),
        verify_until=instant_or_none(item["verify_until"]),
    )


def key_or_none(item: Mapping[str, Any] | None) -> SigningKey | None:
    """Return the signing key in a JSON row, if there is one."""
    return None if item is None else key_from(item)


def party_from(item: Mapping[str, Any]) -> Party:
    """Return the party in a JSON row."""
    return Party(
        id=UUID(item["id"]),
        kind=Kind(item["kind"]),
        state=item["state"],
        epoch=item["epoch"],
        valid_from=instant_or_none(item["valid_from"]),
        valid_until=instant_or_none(item["valid_until"]),
    )


def parties_from(items: Iterable[Mapping[str, Any]] | None) -> tuple[Party, ...]:
    """Return the parties in a JSON list."""
    return tuple(party_from(item) for item in items or ())


def standings_from(items: Iterable[Mapping[str, Any]] | None) -> tuple[GrantStatus, ...]:
    """Return the standings in a JSON list."""
    return tuple(
        GrantStatus(
            item["id"],
            bool(item["holds"]),
            item.get("epoch", 0),
            item.get("max_lifetime_s"),
            instant_or_none(item.get("expires_at")),
        )
        for item in items or ()
    )


def delegation_from(item: Mapping[str, Any]) -> Delegation:
    """Return the delegation in a JSON row."""
    return Delegation(
        id=UUID(item["id"]),
        actor_id=UUID(item["actor_id"]),
        subject_id=id_or_none(item["subject_id"]),
        subject_group_id=id_or_none(item["subject_group_id"]),
        resource=item["resource"],
        scopes=tuple(item["scopes"]),
        authorization_details=tuple(item["authorization_details"]),
        max_lifetime_s=item["max_lifetime_s"],
        max_depth=item["max_depth"],
        max_task_s=item["max_task_s"],
        created_at=instant_from(item["created_at"]),
        expires_at=instant_or_none(item["expires_at"]),
        ended_at=instant_or_none(item["ended_at"]),
        ended_reason=item["ended_reason"],
        granted_by=item["granted_by"],
        version=item["version"],
        epoch=item["epoch"],
    )


def server_from(item: Mapping[str, Any]) -> ResourceServer:
    """Return the resource server in a JSON row."""
    return ResourceServer(
        id=UUID(item["id"]),
        audience=item["audience"],
        principal_id=id_or_none(item["principal_id"]),
        scopes=tuple(item["scopes"]),
        authorization_details_types=details_types_from(item["types"], item["restrictions"]),
        created_at=instant_from(item["created_at"]),
        retired_types=details_types_from(item["retired_types"], item["restrictions"]),
        version=item["version"],
        epoch=item["epoch"],
        end_count=item["end_count"],
    )


def details_types_from(types: Iterable[str], restrictions: Mapping[str, Iterable[str]]) -> tuple[DetailsType, ...]:
    """Return the types of authorization details of a resource server, with the scopes that each restricts."""
    return tuple(DetailsType(name, tuple(restrictions.get(name, ()))) for name in types)


def pair_from(item: Mapping[str, Any]) -> ResourcePair:
    """Return the pair of resource servers in a JSON row."""
    return ResourcePair(
        id=UUID(item["id"]),
        source=item["source"],
        target=item["target"],
        scopes={scope: tuple(allowed) for scope, allowed in item["scopes"].items()},
        authorization_details_types=item["authorization_details_types"],
        created_at=instant_from(item["created_at"]),
        version=item["version"],
        epoch=item["epoch"],
    )


def authority_from(items: Iterable[Mapping[str, Any]] | None) -> tuple[TaskAuthority, ...] | None:
    """Return the authority of a task; None where it has none of its own."""
    if items is None:
        return None
    return tuple(
        TaskAuthority(tuple(item["scopes"]), tuple(item["authorization_details"]), item["resource"]) for item in items
    )


def budget_from(item: Mapping[str, Any] | None) -> Budget | None:
    """Return the budget of a task, if it has one."""
    return None if item is None else Budget(**item)


def task_or_none(item: Mapping[str, Any] | None) -> Task | None:
    """Return the task in a JSON row, if there is one."""
    if item is None:
        return None
    return Task(
        txn=UUID(item["txn"]),
        subject_id=UUID(item["subject_id"]),
        actor_id=UUID(item["actor_id"]),
        delegation_id=id_or_none(item["delegation_id"]),
        audience=item["audience"],
        scopes=tuple(item["scopes"]),
        authorization_details=tuple(item["authorization_details"]),
        state=TaskState(item["state"]),
        created_at=instant_from(item["created_at"]),
        expires_at=instant_from(item["expires_at"]),
        ended_at=instant_or_none(item["ended_at"]),
        purpose=item["purpose"],
        authority=authority_from(item["authority"]),
        budget=budget_from(item["budget"]),
    )


def token_from(item: Mapping[str, Any] | None, tenant_state: str) -> TokenFacts | None:
    """Return the token in a JSON row, with all that it rests on."""
    if item is None:
        return None
    return TokenFacts(
        jti=UUID(item["jti"]),
        txn=id_or_none(item["txn"]),
        client_id=item["client_id"],
        subject_id=id_or_none(item["subject_id"]),
        actor_ids=ids_from(item["actor_ids"]),
        ancestor_ids=ids_from(item["ancestor_ids"]),
        delegation_ids=ids_from(item["delegation_ids"]),
        client_ids=tuple(item["client_ids"]),
        party_ids=ids_from(item["party_ids"]),
        epoch_sum=item["epoch_sum"],
        depth_max=item["depth_max"],
        audience=item["audience"],
        scopes=tuple(item["scopes"]),
        authorization_details=tuple(item["authorization_details"]),
        issued_at=instant_from(item["issued_at"]),
        expires_at=instant_from(item["expires_at"]),
        is_revoked=item["is_revoked"],
        parties=parties_from(item["parties"]),
        delegations=standings_from(item["delegations"]),
        memberships=None if item["memberships"] is None else tuple(item["memberships"]),
        memberships_hold=item["memberships_hold"],
        clients=standings_from(item["clients"]),
        task_state=None if item["task_state"] is None else TaskState(item["task_state"]),
        task_expires_at=instant_or_none(item["task_expires_at"]),
        cutoffs=tuple(
            Cutoff(cutoff["kind"], cutoff["key"], instant_from(cutoff["not_before"]))
            for cutoff in item["cutoffs"] or ()
        ),
        tenant_state=tenant_state,
        connection_id=id_or_none(item["connection_id"]),
        upstream_key=item["upstream_key"],
        connection_holds=item["connection_holds"],
        upstream=upstream_from(item["upstream"]),
        pair_ids=ids_from(item["pair_ids"]),
        crossings=tuple(
            Crossing(UUID(crossing["pair_id"]), crossing["audience"], crossing["epoch"])
            for crossing in item["crossings"] or ()
        ),
        resources=standings_from(item["resources"]),
        connection_epoch=item["connection_epoch"] or 0,
        basis_epoch_sum=item["basis_epoch_sum"],
        renewable_until=instant_or_none(item["renewable_until"]),
        first_jti=id_or_none(item["first_jti"]),
        branch_holds=item["branch_holds"],
    )


def upstream_from(item: Mapping[str, Any] | None) -> Upstream | None:
    """Return what a token keeps of its upstream token; None when there is nothing."""
    if item is None:
        return None
    return Upstream(acr=item["acr"], amr=tuple(item["amr"]), auth_time=item["auth_time"], act=item["act"])
