"""From refusals to the errors of OAuth 2 (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5)."""

import json
from dataclasses import dataclass

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
    """The grant type is not supported (RFC 6749 §5.2)."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(InvalidRequest):
    """The response type is not supported (RFC 6749 §4.1.2.1)."""

    code = "unsupported_response_type"


SPENT_FOR_GOOD = frozenset({"task_budget_spent", "task_fan_out_exceeded"})
"""Reasons that no waiting removes."""


@dataclass(frozen=True, slots=True)
class OAuthError:
    """The answer to refusals of one ``kind``, or only to those with this ``pointer`` or one of these ``reasons``."""

    kind: type[Refusal]
    status: int
    error: str
    retry_after_s: int | None = None
    pointer: str | None = None
    reasons: frozenset[str] | None = None

    def fits(self, refusal: Refusal) -> bool:
        """Return whether it answers ``refusal``."""
        return (
            isinstance(refusal, self.kind)
            and (self.pointer is None or getattr(refusal, "pointer", None) == self.pointer)
            and (self.reasons is None or refusal.reason in self.reasons)
        )


# The first that fits. RFC 8693 §2.2.2: a token that is invalid, or not acceptable by policy, is invalid_request.
ERRORS = (
    OAuthError(InvalidClient, 401, "invalid_client"),
    OAuthError(NotAuthenticated, 401, "invalid_client"),
    OAuthError(UnauthorizedClient, 400, "unauthorized_client"),
    OAuthError(InvalidTarget, 400, "invalid_target"),
    OAuthError(RepeatedResource, 400, "invalid_target"),
    OAuthError(InvalidScope, 400, "invalid_scope"),
    OAuthError(InvalidAuthorizationDetails, 400, "invalid_authorization_details"),
    OAuthError(PartyInactive, 400, "invalid_grant"),
    OAuthError(TooManyTasks, 429, "temporarily_unavailable", retry_after_s=60),
    OAuthError(TooManyTokens, 429, "temporarily_unavailable", reasons=SPENT_FOR_GOOD),
    OAuthError(TooManyTokens, 429, "temporarily_unavailable", retry_after_s=60),
    OAuthError(LimitExceeded, 413, "invalid_request"),
    OAuthError(Unavailable, 503, "temporarily_unavailable", retry_after_s=1),
    OAuthError(NotFound, 404, "invalid_request"),
    OAuthError(Conflict, 409, "invalid_request"),
    OAuthError(NotTheOpener, 403, "access_denied"),
    OAuthError(UnsupportedGrantType, 400, "unsupported_grant_type"),
    OAuthError(UnsupportedResponseType, 400, "unsupported_response_type"),
    OAuthError(InvalidRequest, 400, "invalid_scope", pointer="scope"),
    OAuthError(InvalidRequest, 400, "invalid_authorization_details", pointer="authorization_details"),
    OAuthError(Refusal, 400, "invalid_request"),
)


def render_refusal(refusal: Refusal) -> Response:
    """Return the error answer of the token service (RFC 6749 §5.2). It names the reason; the cause is for the log."""
    log_unavailable(refusal)
    found = next(each for each in ERRORS if each.fits(refusal))
    response = jsonify(error=found.error, error_description=_describe(refusal))
    response.status_code = found.status
    response.headers["Cache-Control"] = "no-store"
    if found.status == 401 and tried_basic():
        response.headers["WWW-Authenticate"] = 'Basic realm="token service", charset="UTF-8"'
    if found.retry_after_s is not None:
        response.headers["Retry-After"] = str(found.retry_after_s)
    return response


def render_bearer_refusal(refusal: Refusal) -> Response:
    """Return the error answer to bearer tokens (RFC 6750 §3). Without a token it names no error."""
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
