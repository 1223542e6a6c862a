"""Authlib's authorization server over our actions."""

from collections.abc import Callable
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Error, OAuth2Request, UnsupportedGrantTypeError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from identity.actions.client_authentication import InvalidClient
from identity.model.client import AuthMethod
from identity.model.errors import InvalidRequest
from identity.oauth.call import present_call
from identity.oauth.clients import AuthenticatedClient
from identity.oauth.errors import UnsupportedGrantType
from identity.oauth.grants import ClientCredentials, TokenExchange
from identity.oauth.tokens import Introspection, Revocation


class TokenService(AuthorizationServer):  # type: ignore[misc]
    """Dispatches to grants and endpoints; errors leave it as refusals, so that there is one writer of them."""

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        """Show Authlib the form that was read by our rules, and not the URL or a second reading of the body."""
        del request
        shown = OAuth2Request("POST", present_call().issuer.identifier, headers={})
        shown.payload = BasicOAuth2Payload(dict(present_call().form))
        return shown

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Any:
        """Turn Authlib's own errors into refusals."""
        del request
        if isinstance(error, UnsupportedGrantTypeError) and "grant_type" not in present_call().form:
            raise InvalidRequest("grant_type is required", reason="grant_type_missing")
        if isinstance(error, UnsupportedGrantTypeError):
            raise UnsupportedGrantType("this grant type is not supported", reason="unsupported_grant_type")
        if error.error == "invalid_client":
            raise InvalidClient("client_auth_method")
        raise InvalidRequest(error.description or error.error, reason=error.error)


def authenticated_by(method: AuthMethod) -> Callable[[Any, Any], AuthenticatedClient | None]:
    """Return Authlib's check for one method: the credential was read and is proved on this request's facts."""

    def authenticate(query_client: Any, request: Any) -> AuthenticatedClient | None:
        del query_client, request
        call = present_call()
        if call.credential.method is not method:
            return None
        return AuthenticatedClient(call.client or call.authenticate(call.facts.common))

    return authenticate


def make_token_service() -> TokenService:
    """Return the server with everything that it offers."""
    service = TokenService(query_client=lambda client_id: None, save_token=lambda token, request: None)
    for method in AuthMethod:
        service.register_client_auth_method(method, authenticated_by(method))
    service.register_grant(ClientCredentials)
    service.register_grant(TokenExchange)
    service.register_endpoint(Introspection)
    service.register_endpoint(Revocation)
    return service
