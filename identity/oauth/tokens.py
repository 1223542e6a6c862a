"""Introspection (RFC 7662) and revocation (RFC 7009)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from identity.actions.client_authentication import ClientLookup
from identity.actions.introspection import (
    TokenStatusFacts,
    introspect,
    parse_presented,
    read_token_status_facts,
    revoke_token,
)
from identity.actions.issuance import ClientCall
from identity.actions.upstream import UnverifiedToken
from identity.edge.runtime import Tx
from identity.model.errors import InvalidRequest
from identity.oauth.form import Form
from identity.oauth.pipeline import Operation


@dataclass(frozen=True, slots=True)
class Introspection(Operation[TokenStatusFacts]):
    """The status of a token. ``token_type_hint`` is not needed and ignored (RFC 7662 §2.1)."""

    may_have_expired: ClassVar[bool] = False

    presented: UnverifiedToken | None

    @classmethod
    def parse(cls, form: Form) -> Self:
        """Decode the token. Raises ``InvalidRequest`` where there is none."""
        if "token" not in form:
            raise InvalidRequest("token is required", reason="token_missing")
        return cls(parse_presented(form["token"]))

    def read(self, tx: Tx, client: ClientLookup, issuer: str, now: datetime) -> TokenStatusFacts:
        """Read the token and all that it rests on."""
        return read_token_status_facts(
            tx, self.presented, client, issuer=issuer, may_have_expired=self.may_have_expired, now=now
        )

    def perform(self, call: ClientCall, facts: TokenStatusFacts) -> Mapping[str, Any]:
        """Return the status (RFC 7662 §2.2)."""
        return introspect(call, self.presented, facts)


@dataclass(frozen=True, slots=True)
class Revocation(Introspection):
    """The revocation of a token, and of every token derived from it."""

    may_have_expired: ClassVar[bool] = True

    def perform(self, call: ClientCall, facts: TokenStatusFacts) -> Mapping[str, Any]:
        """Revoke the token. The answer is the same where there was none (RFC 7009 §2.2)."""
        revoke_token(call, self.presented, facts)
        return {}
