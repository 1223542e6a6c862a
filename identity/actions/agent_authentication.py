"""Authentication of an agent or service account by its own token: the one whose audience is the issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.authentication import require_valid
from identity.actions.issuance import ClientCall, Issuer
from identity.actions.upstream import InvalidSubjectToken, decode_unverified
from identity.model.client import Client
from identity.model.errors import NotAuthenticated
from identity.model.token import Party, TokenFacts
from identity.store import Tx
from identity.store.facts import ClientLookup, token_status_facts_read

UNKNOWN = "the bearer token is not an agent's own for this issuer, or has ended"
CLIENT_ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class PresentedAgent:
    """An agent that proved itself by ``token``, which its ``client`` obtained. ``max_task_s`` is the tenant's."""

    party: Party
    client: Client
    token: TokenFacts
    max_task_s: int


@dataclass(frozen=True, slots=True)
class AgentCall(ClientCall):
    """One request of an authenticated agent, with its open transaction."""

    agent: PresentedAgent

    @property
    def agent_id(self) -> UUID:
        """The id of the agent's principal."""
        return self.agent.party.id

    @property
    def lookup(self) -> ClientLookup:
        """The agent's client, which has proved itself already."""
        return ClientLookup(self.client.client_id)


def authenticate_agent(tx: Tx, unverified_token: str, *, issuer: Issuer, now: datetime) -> PresentedAgent:
    """Return the agent whose own token this is: the one that client credentials give without a resource.

    Its claims only choose the rows that decide. Raises ``NotAuthenticated``.
    """
    try:
        presented = decode_unverified(unverified_token)
    except InvalidSubjectToken as error:
        raise NotAuthenticated(UNKNOWN, reason=error.reason) from None
    jti = presented.jti if presented.issuer == issuer.identifier else None
    facts = token_status_facts_read(
        tx, ClientLookup(_client_named(presented.claims)), jti=jti, retired_kid=None, now=now
    )
    client, keys, audience = facts.common.client, issuer.keys.public(tx.tenant_id, facts.common.keys), issuer.identifier
    token = require_valid(unverified_token, facts.token, keys, issuer, now, audience=audience, detail=UNKNOWN)
    party = next((party for party in token.parties if party.id == token.subject_id), None)
    if token.audience != audience or token.actor_ids or party is None:
        raise NotAuthenticated(UNKNOWN, reason="token_not_of_an_agent")
    if client is None or client.client_id != token.client_id:
        raise NotAuthenticated(UNKNOWN, reason="token_client")
    return PresentedAgent(party, client, token, facts.common.max_task_s)


def _client_named(claims: Mapping[str, Any]) -> str:
    named = claims.get("client_id")
    is_plain = isinstance(named, str) and len(named) <= CLIENT_ID_LENGTH_MAX and named.isascii() and named.isprintable()
    return str(named) if is_plain else ""
