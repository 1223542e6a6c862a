"""Which agent or service account asks, by the token that it got for itself and for nowhere but the issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity_verifier import VerificationError

from identity.actions.client_authentication import caller_of
from identity.actions.issuance import Issuer, parse_jti, verify_own
from identity.actions.upstream import InvalidSubjectToken, decode_unverified
from identity.model.access import Caller
from identity.model.client import Client
from identity.model.errors import NotAuthenticated
from identity.model.token import Party, TokenFacts, inactive_reason
from identity.store import Tx
from identity.store.facts import ClientLookup, TokenStatusFacts, life_facts_read

UNKNOWN = "the bearer token is not an agent's own for this issuer, or has ended"
CLIENT_ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class PresentedAgent:
    """An agent that proved itself by ``token``, which its ``client`` obtained. ``max_task_s`` is the tenant's."""

    party: Party
    client: Client
    token: TokenFacts
    max_task_s: int

    @property
    def id(self) -> UUID:
        """The principal's id."""
        return self.party.id

    @property
    def lookup(self) -> ClientLookup:
        """What to ask of its client, which has proved itself already."""
        return ClientLookup(self.client.client_id)

    def caller(self, request_id: str) -> Caller:
        """Return who asks, for the audit log."""
        return caller_of(self.client.client_id, request_id)


def authenticate_agent(tx: Tx, unverified_token: str, *, issuer: Issuer, now: datetime) -> PresentedAgent:
    """Return the agent whose own token this is: the one that client credentials give without a resource.

    What the token says only chooses rows; they decide. Raises ``NotAuthenticated``.
    """
    try:
        token = decode_unverified(unverified_token)
    except InvalidSubjectToken as error:
        raise NotAuthenticated(UNKNOWN, reason=error.reason) from None
    jti = parse_jti(token.claims) if token.issuer == issuer.identifier else None
    facts = life_facts_read(tx, ClientLookup(_client_named(token.claims)), jti=jti, retired_kid=None, now=now)
    found = _believed(tx, unverified_token, facts, issuer, now)
    client, party = facts.common.client, next((each for each in found.parties if each.id == found.subject_id), None)
    if found.audience != issuer.identifier or found.actor_ids or party is None:
        raise NotAuthenticated(UNKNOWN, reason="token_not_of_an_agent")
    if client is None or client.client_id != found.client_id:
        raise NotAuthenticated(UNKNOWN, reason="token_client")
    return PresentedAgent(party, client, found, facts.common.max_task_s)


def _client_named(claims: Mapping[str, Any]) -> str:
    named = claims.get("client_id")
    is_plain = isinstance(named, str) and len(named) <= CLIENT_ID_LENGTH_MAX and named.isascii() and named.isprintable()
    return str(named) if is_plain else ""


def _believed(tx: Tx, text: str, facts: TokenStatusFacts, issuer: Issuer, now: datetime) -> TokenFacts:
    if facts.token is None:
        raise NotAuthenticated(UNKNOWN, reason="token_unknown")
    try:
        verify_own(text, issuer.keys.public(tx.tenant_id, facts.common.keys), issuer, issuer.identifier, now)
    except VerificationError as failed:
        raise NotAuthenticated(UNKNOWN, reason=f"token_{failed.rule}") from None
    death = inactive_reason(facts.token, now)
    if death is not None:
        raise NotAuthenticated(UNKNOWN, reason=f"token_{death}")
    return facts.token
