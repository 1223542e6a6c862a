"""The grants of the token endpoint. A new one is a class here, its name in ``GRANTS``, and an action."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from identity_verifier.strict_json import StrictJsonError, parse_object

from identity.actions.client_authentication import ClientLookup
from identity.actions.client_credentials import (
    ClientCredentialsFacts,
    issue_client_credentials_token,
    read_client_credentials_facts,
)
from identity.actions.exchange import ExchangeFacts, exchange_token, read_exchange_facts
from identity.actions.issuance import ClientCall, InvalidTarget
from identity.actions.presented_tokens import Exchange, ExchangeRequest, InvalidActorToken
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, decode_unverified
from identity.edge.runtime import Tx
from identity.model.authorization_details import check_details
from identity.model.client import GrantType
from identity.model.delegation import Details
from identity.model.errors import InvalidRequest
from identity.model.exchange import Requested
from identity.model.scope import parse_scope
from identity.model.token import IssuedToken
from identity.model.upstream_token import ACCESS_TOKEN, JWT, KINDS_OF_TYPE
from identity.oauth.errors import UnsupportedGrantType
from identity.oauth.form import Form
from identity.oauth.pipeline import FactsRead, Operation


class Grant(Operation[FactsRead]):
    """A grant (RFC 6749 §4): its type, the parser of its form, the facts that it reads, the token that it issues."""

    grant_type: ClassVar[GrantType]
    members: ClassVar[Mapping[str, str]] = {}
    """The members of its answer besides those of RFC 6749 §5.1."""

    @classmethod
    @abstractmethod
    def parse(cls, form: Form) -> Self:
        """Return the request of a form. Raises ``InvalidRequest``."""

    @abstractmethod
    def issue(self, call: ClientCall, facts: FactsRead) -> IssuedToken:
        """Decide and issue. Raises the refusals of its action."""

    def perform(self, call: ClientCall, facts: FactsRead) -> Mapping[str, Any]:
        """Issue a token; return the members of the answer (RFC 6749 §5.1, RFC 9396 §7)."""
        issued = self.issue(call, facts)
        body: dict[str, Any] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            **self.members,
        }
        if issued.scopes:
            body["scope"] = " ".join(issued.scopes)
        if issued.authorization_details:
            body["authorization_details"] = [dict(entry) for entry in issued.authorization_details]
        return body


@dataclass(frozen=True, slots=True)
class ClientCredentials(Grant[ClientCredentialsFacts]):
    """RFC 6749 §4.4: an agent or a service account as itself."""

    grant_type = GrantType.CLIENT_CREDENTIALS

    requested: Requested
    form: Form

    @classmethod
    def parse(cls, form: Form) -> Self:
        """Refuse authorization details, which a client has none of. The scope is parsed once the client is proved."""
        if "authorization_details" in form:
            raise InvalidRequest("a client has none of its own", pointer="authorization_details")
        return cls(Requested(target_of(form), txn=task_of(form)), form)

    def read(self, tx: Tx, client: ClientLookup, issuer: str, now: datetime) -> ClientCredentialsFacts:
        """Read the client, its principal, the resource server and the task."""
        del issuer
        return read_client_credentials_facts(tx, self.requested, client, now)

    def issue(self, call: ClientCall, facts: ClientCredentialsFacts) -> IssuedToken:
        """Issue a token for the client's principal."""
        return issue_client_credentials_token(call, replace(self.requested, scopes=scopes_of(self.form)), facts)


@dataclass(frozen=True, slots=True)
class TokenExchange(Grant[ExchangeFacts]):
    """RFC 8693 §2: a person's token for a narrower one of an agent."""

    grant_type = GrantType.TOKEN_EXCHANGE
    members: ClassVar[Mapping[str, str]] = {"issued_token_type": ACCESS_TOKEN}  # RFC 8693 §2.2.1

    request: ExchangeRequest

    @classmethod
    def parse(cls, form: Form) -> Self:
        """Decode the tokens. Raises ``InvalidSubjectToken``, ``InvalidActorToken``, ``InvalidTarget`` too."""
        return cls(parse_exchange(form))

    def read(self, tx: Tx, client: ClientLookup, issuer: str, now: datetime) -> ExchangeFacts:
        """Read the tokens, every party, the delegations, the resource servers and the task."""
        return read_exchange_facts(tx, self.request, client, issuer, now)

    def issue(self, call: ClientCall, facts: ExchangeFacts) -> IssuedToken:
        """Trade the subject token for a narrower one."""
        return exchange_token(Exchange(call, self.request, facts))


GRANTS: Mapping[str, type[Grant[Any]]] = {grant.grant_type: grant for grant in (ClientCredentials, TokenExchange)}


def parse_grant(form: Form) -> Grant[Any]:
    """Return the grant that a form requests, parsed. Raises ``InvalidRequest``, ``UnsupportedGrantType``."""
    if "grant_type" not in form:
        raise InvalidRequest("grant_type is required", reason="grant_type_missing")
    grant = GRANTS.get(form["grant_type"])
    if grant is None:
        raise UnsupportedGrantType("this grant type is not supported", reason="unsupported_grant_type")
    return grant.parse(form)


def parse_exchange(form: Form) -> ExchangeRequest:
    """Return the request of a form (RFC 8693 §2.1).

    Raises ``InvalidRequest``, ``InvalidSubjectToken``, ``InvalidActorToken``, ``InvalidTarget``.
    """
    subject_text, subject_type = form.get("subject_token"), form.get("subject_token_type")
    if not subject_text or not subject_type:
        raise InvalidRequest("subject_token and subject_token_type are required", reason="subject_token_missing")
    if subject_type not in KINDS_OF_TYPE:
        raise InvalidRequest("subject_token_type is not supported", reason="subject_token_type")
    if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise InvalidRequest("requested_token_type is not supported", reason="requested_token_type")
    requested = Requested(target_of(form), scopes_of(form), details_of(form), task_of(form), renews(form))
    actor_text, actor_type = form.get("actor_token"), form.get("actor_token_type")
    if requested.is_renewal and actor_text is not None:
        raise InvalidRequest("renew goes without an actor_token: the client is the actor's", reason="renew_actor_token")
    subject = decode_unverified(subject_text)
    return ExchangeRequest(subject, subject_type, parse_actor(actor_text, actor_type), requested)


def parse_actor(actor_text: str | None, actor_type: str | None) -> UnverifiedToken | None:
    """Return the decoded actor token (RFC 8693 §2.1: with its type, or neither). Raises ``InvalidActorToken``."""
    if (actor_text is None) != (actor_type is None):
        raise InvalidRequest("actor_token and actor_token_type come together", reason="actor_token_type")
    if actor_text is None:
        return None
    if actor_type not in (ACCESS_TOKEN, JWT):
        raise InvalidRequest("actor_token_type is not supported", reason="actor_token_type")
    try:
        return decode_unverified(actor_text)
    except InvalidSubjectToken as error:
        raise InvalidActorToken("the actor token is malformed", reason=f"actor_{error.reason}") from None


def target_of(form: Form) -> str | None:
    """Return the one target: ``resource`` (RFC 8707) or ``audience`` (RFC 8693 §2.1). Raises ``InvalidTarget``."""
    resource, audience = form.get("resource"), form.get("audience")
    if resource is not None and audience is not None and resource != audience:
        raise InvalidTarget("a token is for one audience", reason="two_targets")
    return resource or audience


def task_of(form: Form) -> UUID | None:
    """Return the task that the token is to serve, None when none is named. Raises ``InvalidRequest``."""
    text = form.get("txn")
    if text is None:
        return None
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise InvalidRequest("txn must be the id of a task, as the claim txn has it", reason="txn_malformed")
    return found


def renews(form: Form) -> bool:
    """Return whether the subject token is to be renewed. Raises ``InvalidRequest``."""
    text = form.get("renew", "false")
    if text not in ("true", "false"):
        raise InvalidRequest("renew must be true or false", reason="renew_malformed")
    return text == "true"


def scopes_of(form: Form) -> tuple[str, ...] | None:
    """Return the requested scopes, None when none are named. Raises ``InvalidRequest``."""
    return parse_scope(form["scope"]) if "scope" in form else None


def details_of(form: Form) -> Details | None:
    """Return the requested authorization details (RFC 9396 §2), None when none are named. Raises ``InvalidRequest``."""
    text = form.get("authorization_details")
    if text is None:
        return None
    try:
        wrapped = parse_object(f'{{"details":{text}}}'.encode())
    except (StrictJsonError, json.JSONDecodeError):
        raise InvalidRequest("authorization_details is not JSON", pointer="authorization_details") from None
    if wrapped.keys() != {"details"}:
        raise InvalidRequest("authorization_details is not JSON", pointer="authorization_details")
    return check_details(wrapped["details"])
