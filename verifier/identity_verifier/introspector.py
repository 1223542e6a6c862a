"""Ask the issuer what is true now (RFC 7662), before an action that cannot be undone."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

from identity_verifier.configuration import (
    check_client,
    check_secure_url,
    check_token,
    misconfiguration_in,
    not_an_issuer,
)
from identity_verifier.errors import ConfigurationError, Misconfiguration, Rule, VerificationError
from identity_verifier.fetch import FetchError, post_form
from identity_verifier.strict_json import StrictJsonError, parse_object

Post = Callable[[str, Mapping[str, str], tuple[str, str]], bytes]


class Introspector:
    """Holds this resource server's own credential at the issuer. Share one between threads.

    Nothing is cached: an answer is as old as the request. It says whether a token is live, not whether it is
    meant for this audience, so verify the token first. Every call waits for the issuer's answer, at most a few
    seconds. The client must be one of this audience: to others every token is inactive. Raises
    ``ConfigurationError`` for an endpoint or a client that cannot be one.
    """

    def __init__(
        self,
        endpoint: str,
        client_id: str,
        client_secret: str,
        *,
        fetch: Post = post_form,
        allow_plain_http: bool = False,
    ) -> None:
        self._endpoint = check_secure_url(endpoint, allow_plain_http=allow_plain_http)
        check_client(client_id, client_secret)
        self._client_id = client_id
        # RFC 6749 §2.3.1: both are form-encoded before they become user and password.
        self._credentials = (quote_plus(client_id), quote_plus(client_secret))
        self._fetch = fetch

    def is_active(self, token: str | None) -> bool:
        """Whether the token is live now. Raises as ``introspect`` does."""
        return self.introspect(token)["active"] is True

    def introspect(self, token: str | None) -> Mapping[str, Any]:
        """The issuer's answer, with a true or false ``active``. No clear answer is a refusal, never a yes.

        Raises ``VerificationError`` ``introspection_unavailable`` when the issuer could not be reached, ``missing``
        without a token; and ``ConfigurationError`` when it refuses this client, or is no issuer.
        """
        form = {"token": check_token(token), "token_type_hint": "access_token"}
        try:
            body = self._fetch(self._endpoint, form, self._credentials)
        except Exception as error:  # a fetch may fail in any way; after any of them the token is refused
            raise self._refusal(error) from error
        try:
            answer = parse_object(body)
        except StrictJsonError as error:
            raise not_an_issuer(self._endpoint, str(error)) from error
        if not isinstance(answer.get("active"), bool):
            raise not_an_issuer(self._endpoint, "it says neither yes nor no")
        return answer

    def _refusal(self, error: Exception) -> Exception:
        """What a failed request means; only our own words are repeated."""
        if not isinstance(error, FetchError):
            return VerificationError(Rule.INTROSPECTION_UNAVAILABLE, "the issuer could not be asked")
        if error.status in (401, 403):
            return self._client_refused(error.status)
        unavailable = VerificationError(Rule.INTROSPECTION_UNAVAILABLE, f"the issuer could not be asked ({error})")
        return misconfiguration_in(error, self._endpoint) or unavailable

    def _client_refused(self, status: int) -> ConfigurationError:
        detail = f"{self._endpoint} answers {status}: check the client's secret, and that it is a client of this tenant"
        if not is_uuid(self._client_id):
            detail += f"; {self._client_id!r} is no client id: `identity client create` prints one (a UUID)"
        return ConfigurationError(Misconfiguration.CLIENT_REFUSED, detail)


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
