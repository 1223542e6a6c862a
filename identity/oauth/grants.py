"""The grants: each translates a form into one action and its result into one answer."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin
from identity_verifier.strict_json import StrictJsonError, parse_object

from identity.actions.exchange import exchange_token, read_exchange_facts
from identity.actions.issuance import InvalidTarget, issue_client_credentials_token, read_client_credentials_facts
from identity.actions.presented_tokens import ExchangeRequest, InvalidActorToken
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, decode_unverified
from identity.model.authorization_details import check_details
from identity.model.client import AuthMethod, Client, GrantType
from identity.model.delegation import Details
from identity.model.errors import InvalidRequest
from identity.model.exchange import Asked
from identity.model.scope import parse_scope
from identity.model.token import IssuedToken
from identity.model.upstream_token import ACCESS_TOKEN, JWT, KINDS_OF_TYPE
from identity.oauth.call import OAuthCall, present_call

AUTH_METHODS = [method.value for method in AuthMethod]
HEADERS = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
Answer = tuple[int, dict[str, Any], list[tuple[str, str]]]


class Grant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """What grants share: every fact is read in one statement, and the client is authenticated on it."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        """Parse the request, read the facts, authenticate the client."""
        self.call = present_call()
        self.call.facts = self.read(self.call)
        self.authenticate_token_endpoint_client()

    def create_token_response(self) -> Answer:
        """Decide and issue."""
        if self.call.client is None:
            raise AssertionError("the client is authenticated before anything is decided")
        return 200, self.answer(self.issue(self.call, self.call.client)), HEADERS

    def read(self, call: OAuthCall) -> Any:
        """Read what the decision rests on."""
        raise NotImplementedError

    def issue(self, call: OAuthCall, client: Client) -> IssuedToken:
        """Do what is asked."""
        raise NotImplementedError

    def answer(self, issued: IssuedToken) -> dict[str, Any]:
        """Return the members of a successful answer (RFC 6749 §5.1)."""
        body: dict[str, Any] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
        }
        if issued.scopes:
            body["scope"] = " ".join(issued.scopes)
        if issued.authorization_details:
            body["authorization_details"] = [dict(entry) for entry in issued.authorization_details]
        return body


class ClientCredentials(Grant):
    """RFC 6749 §4.4: an agent or a service account as itself."""

    GRANT_TYPE = GrantType.CLIENT_CREDENTIALS

    def read(self, call: OAuthCall) -> Any:
        """Read the client, its principal and the resource. Authorization details have no holder here: refused."""
        if "authorization_details" in call.form:
            raise InvalidRequest("a client has none of its own", pointer="authorization_details")
        resource, txn = target_of(call.form), task_of(call.form)
        return read_client_credentials_facts(call.tx, call.credential.lookup, resource=resource, txn=txn, now=call.now)

    def issue(self, call: OAuthCall, client: Client) -> IssuedToken:
        """Issue a token for the client's principal."""
        return issue_client_credentials_token(
            call.tx,
            call.facts,
            client,
            resource=target_of(call.form),
            scopes=scopes_of(call.form),
            txn=task_of(call.form),
            issuer=call.issuer,
            caller=call.caller,
            now=call.now,
        )


class TokenExchange(Grant):
    """RFC 8693 §2."""

    GRANT_TYPE = GrantType.TOKEN_EXCHANGE

    def read(self, call: OAuthCall) -> Any:
        """Parse the tokens and read every fact about every party."""
        self.asked = parse_exchange(call.form)
        return read_exchange_facts(
            call.tx, self.asked, call.credential.lookup, issuer=call.issuer.identifier, now=call.now
        )

    def issue(self, call: OAuthCall, client: Client) -> IssuedToken:
        """Trade the subject token for a narrower one."""
        return exchange_token(
            call.tx,
            self.asked,
            call.facts,
            client=client,
            issuer=call.issuer,
            upstream_keys=call.runtime.upstream_keys,
            caller=call.caller,
            now=call.now,
        )

    def answer(self, issued: IssuedToken) -> dict[str, Any]:
        """Add what RFC 8693 §2.2.1 requires."""
        return super().answer(issued) | {"issued_token_type": ACCESS_TOKEN}


def parse_exchange(form: Mapping[str, str]) -> ExchangeRequest:
    """Return the request that the form spells.

    Raises ``InvalidRequest``, ``InvalidSubjectToken``, ``InvalidActorToken``.
    """
    subject_text, subject_type = form.get("subject_token"), form.get("subject_token_type")
    if not subject_text or not subject_type:
        raise InvalidRequest("subject_token and subject_token_type are required", reason="subject_token_missing")
    if subject_type not in KINDS_OF_TYPE:
        raise InvalidRequest("subject_token_type is not supported", reason="subject_token_type")
    if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise InvalidRequest("requested_token_type is not supported", reason="requested_token_type")
    asked = Asked(target_of(form), scopes_of(form), details_of(form), task_of(form), renews(form))
    actor_text = form.get("actor_token")
    if asked.is_renewal and actor_text is not None:
        raise InvalidRequest("renew goes without an actor_token: the client is the actor's", reason="renew_actor_token")
    return ExchangeRequest(
        subject_token=decode_unverified(subject_text),
        subject_token_type=subject_type,
        subject_text=subject_text,
        actor_token=parse_actor(actor_text, form.get("actor_token_type")),
        actor_text=actor_text,
        asked=asked,
    )


def parse_actor(actor_text: str | None, actor_type: str | None) -> UnverifiedToken | None:
    """Return the actor token, taken apart (RFC 8693 §2.1: its type comes with it and never without)."""
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


def target_of(form: Mapping[str, str]) -> str | None:
    """Return the one target: ``resource`` (RFC 8707) or ``audience`` (RFC 8693 §2.1). Raises ``InvalidTarget``."""
    resource, audience = form.get("resource"), form.get("audience")
    if resource is not None and audience is not None and resource != audience:
        raise InvalidTarget("a token is for one audience", reason="two_targets")
    return resource or audience


def task_of(form: Mapping[str, str]) -> UUID | None:
    """Return the task that the token shall serve, None when none is named. Raises ``InvalidRequest``."""
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


def renews(form: Mapping[str, str]) -> bool:
    """Return whether the subject token shall be renewed. Raises ``InvalidRequest``."""
    text = form.get("renew", "false")
    if text not in ("true", "false"):
        raise InvalidRequest("renew must be true or false", reason="renew_malformed")
    return text == "true"


def scopes_of(form: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the scopes asked for, None when none are named."""
    return parse_scope(form["scope"]) if "scope" in form else None


def details_of(form: Mapping[str, str]) -> Details | None:
    """Return the authorization details asked for (RFC 9396 §2), None when none are named. Raises ``InvalidRequest``."""
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
