"""The authorization endpoint (RFC 6749 §3.1), which refuses: clients require one in the metadata."""

from collections.abc import Mapping
from typing import NoReturn

from flask import request

from identity.actions.issuance import UnauthorizedClient
from identity.edge.audit import refusals_audited
from identity.edge.authentication import anonymous
from identity.edge.call import tenant_of
from identity.model.errors import InvalidRequest
from identity.oauth.errors import UnsupportedResponseType
from identity.oauth.form import read_form, read_query

RESPONSE_TYPES = ["none"]
"""The registered type by which the endpoint issues nothing (OAuth 2.0 Multiple Response Type Encoding Practices §4).

The metadata must have the member and no empty list (RFC 8414 §2, §3.2), and clients refuse metadata without a type.
"""


def refuse_authorization(slug: str) -> NoReturn:
    """Refuse an authorization request with an error document (RFC 6749 §4.1.2.1).

    It never redirects: no client has registered a ``redirect_uri``. Raises ``InvalidRequest``, ``UnauthorizedClient``.
    """
    tenant = tenant_of(slug)
    with refusals_audited("oauth", tenant.id, anonymous()):
        check_response_type(read_form() if request.method == "POST" else read_query())
    raise AssertionError("every authorization request is refused")


def check_response_type(parameters: Mapping[str, str]) -> NoReturn:
    """Refuse a request without a response type, one that is not supported, and one that no client may use."""
    response_type = parameters.get("response_type")
    if response_type is None:
        raise InvalidRequest("response_type is required", reason="response_type_missing")
    if response_type not in RESPONSE_TYPES:
        raise UnsupportedResponseType(
            "people do not sign in here; a token is had at the token endpoint", reason="unsupported_response_type"
        )
    raise UnauthorizedClient("no client is registered for authorization requests", reason="response_type_not_allowed")
