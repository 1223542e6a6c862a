"""Our clients as Authlib sees them."""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin

from identity.model.client import Client


@dataclass(frozen=True, slots=True)
class AuthenticatedClient(ClientMixin):  # type: ignore[misc]
    """A client that the actions have authenticated already; there is nothing left for Authlib to check."""

    client: Client

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.client.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """True for the one registered method, at every endpoint: none is let off."""
        del endpoint
        return method == self.client.auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        """True for a registered grant type."""
        return grant_type in self.client.grant_types
