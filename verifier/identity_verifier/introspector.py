"""Ask the issuer what is true now (RFC 7662), before an action that cannot be undone."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from identity_verifier.errors import Rule, VerificationError
from identity_verifier.fetch import post_form, require_secure_url
from identity_verifier.strict_json import parse_object

Post = Callable[[str, Mapping[str, str], tuple[str, str]], bytes]


class Introspector:
    """Holds this resource server's own credential at the issuer. Share one between threads.

    Nothing is cached: an answer is as old as the request. It says whether a token is live, not whether it is
    meant for this audience, so verify the token first.
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
        self._endpoint = require_secure_url(endpoint, allow_plain_http=allow_plain_http)
        # RFC 6749 §2.3.1: both are form-encoded before they become user and password.
        self._credentials = (quote_plus(client_id), quote_plus(client_secret))
        self._fetch = fetch

    def is_active(self, token: str) -> bool:
        """Whether the token is live now. Raises ``VerificationError`` ``introspection_unavailable``."""
        return self.introspect(token)["active"] is True

    def introspect(self, token: str) -> Mapping[str, Any]:
        """The issuer's answer, with a true or false ``active``. No clear answer is a refusal, never a yes."""
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            answer = parse_object(self._fetch(self._endpoint, form, self._credentials))
        except Exception as error:  # a fetch may fail in any way; each of them means that nobody vouches
            detail = "the issuer could not be asked"
            raise VerificationError(Rule.INTROSPECTION_UNAVAILABLE, detail) from error
        if not isinstance(answer.get("active"), bool):
            raise VerificationError(Rule.INTROSPECTION_UNAVAILABLE, "the answer says neither yes nor no")
        return answer
