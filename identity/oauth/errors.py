"""From refusals to the errors of OAuth 2 (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5)."""

import json

from flask import Response, jsonify, request

from identity.actions.client_authentication import InvalidClient
from identity.actions.exchange import InvalidAuthorizationDetails
from identity.actions.issuance import (
    InvalidScope,
    InvalidTarget,
    PartyInactive,
    TooManyTasks,
    TooManyTokens,
    UnauthorizedClient,
)
from identity.actions.own_tasks import NotTheOpener
from identity.edge.audit import log_unavailable
from identity.edge.request import BEARER
from identity.model.errors import (
    Conflict,
    InvalidRequest,
    LimitExceeded,
    NotAuthenticated,
    NotFound,
    Refusal,
    Unavailable,
)
from identity.oauth.form import RepeatedResource, tried_basic


class UnsupportedGrantType(InvalidRequest):
    """No such grant here (RFC 6749 §5.2)."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(InvalidRequest):
    """No such response type here (RFC 6749 §4.1.2.1)."""

    code = "unsupported_response_type"


# The first that fits. What RFC 8693 calls a token that is invalid or unacceptable by policy is invalid_request.
ERRORS: tuple[tuple[type[Refusal], int, str], ...] = (
    (InvalidClient, 401, "invalid_client"),
    (NotAuthenticated, 401, "invalid_client"),
    (UnauthorizedClient, 400, "unauthorized_client"),
    (InvalidTarget, 400, "invalid_target"),
    (RepeatedResource, 400, "invalid_target"),
    (InvalidScope, 400, "invalid_scope"),
    (InvalidAuthorizationDetails, 400, "invalid_authorization_details"),
    (PartyInactive, 400, "invalid_grant"),
    (TooManyTasks, 429, "temporarily_unavailable"),
    (TooManyTokens, 429, "temporarily_unavailable"),
    (LimitExceeded, 413, "invalid_request"),
    (Unavailable, 503, "temporarily_unavailable"),
    (NotFound, 404, "invalid_request"),
    (Conflict, 409, "invalid_request"),
    (NotTheOpener, 403, "access_denied"),
    (UnsupportedGrantType, 400, "unsupported_grant_type"),
    (UnsupportedResponseType, 400, "unsupported_response_type"),
    (InvalidRequest, 400, "invalid_request"),
    (Refusal, 400, "invalid_request"),
)


FINAL = frozenset({"task_budget_spent", "task_fan_out_exceeded"})
"""Reasons that no waiting mends."""


def render_refusal(refusal: Refusal) -> Response:
    """Return the one error answer of the token service. The reason is shown; the cause is for the log."""
    log_unavailable(refusal)
    status, error = next((status, error) for kind, status, error in ERRORS if isinstance(refusal, kind))
    if isinstance(refusal, InvalidRequest) and refusal.pointer in ("scope", "authorization_details"):
        error = f"invalid_{refusal.pointer}"
    response = jsonify(error=error, error_description=_describe(refusal))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    if status == 401 and tried_basic():
        response.headers["WWW-Authenticate"] = 'Basic realm="token service", charset="UTF-8"'
    if status in (429, 503) and refusal.reason not in FINAL:
        response.headers["Retry-After"] = "1" if status == 503 else "60"
    return response


def render_bearer_refusal(refusal: Refusal) -> Response:
    """Return the same where a bearer token says who asks (RFC 6750 §3). Where there was none, no error is named."""
    response = render_refusal(refusal)
    if response.status_code == 401:
        response.set_data(json.dumps({"error": "invalid_token", "error_description": _describe(refusal)}))
        was_sent = BEARER.fullmatch(request.headers.get("Authorization", ""))
        response.headers["WWW-Authenticate"] = 'Bearer realm="tasks"' + (', error="invalid_token"' if was_sent else "")
    return response


def _describe(refusal: Refusal) -> str:
    """Return a description in the characters that RFC 6749 §5.2 allows."""
    text = refusal.detail if isinstance(refusal, NotAuthenticated) else f"{refusal.detail} ({refusal.reason})"
    return "".join(character if " " <= character <= "~" and character not in '"\\' else "'" for character in text)
