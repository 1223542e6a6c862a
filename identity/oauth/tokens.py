"""Introspection (RFC 7662) and revocation (RFC 7009)."""

from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from identity.actions.introspection import introspect, parse_presented, read_token_status_facts, revoke_token
from identity.model.client import Client
from identity.model.errors import InvalidRequest
from identity.oauth.call import OAuthCall, present_call
from identity.oauth.grants import AUTH_METHODS, HEADERS, Answer


def authenticated(endpoint: Any, request: Any, *, may_have_expired: bool) -> tuple[OAuthCall, Client, Any]:
    """Read every fact about the presented token in one statement, and authenticate the client on it."""
    call = present_call()
    if "token" not in call.form:
        raise InvalidRequest("token is required", reason="token_missing")
    presented = parse_presented(call.form["token"], call.issuer.identifier)
    call.facts = read_token_status_facts(
        call.tx, presented, call.credential.lookup, may_have_expired=may_have_expired, now=call.now
    )
    endpoint.authenticate_endpoint_client(request)
    if call.client is None:
        raise AssertionError("the client is authenticated before anything is told")
    return call, call.client, presented


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """Says what is true now, to those whom it concerns. ``token_type_hint`` is not needed and ignored (§2.1)."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def create_endpoint_response(self, request: Any) -> Answer:
        """Answer (RFC 7662 §2.2)."""
        call, client, presented = authenticated(self, request, may_have_expired=False)
        return 200, dict(
            introspect(call.tx, presented, call.facts, client=client, issuer=call.issuer, now=call.now)
        ), HEADERS  # fmt: skip


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Ends a token and all that was derived from it."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def create_endpoint_response(self, request: Any) -> Answer:
        """Answer (RFC 7009 §2.2: 200, whether there was something to revoke or not)."""
        call, client, presented = authenticated(self, request, may_have_expired=True)
        revoke_token(
            call.tx, presented, call.facts, client=client, issuer=call.issuer, caller=call.caller, now=call.now
        )
        return 200, {}, HEADERS
