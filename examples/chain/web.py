"""Shared by the three services: a tenant in each path, a bearer token for it, and answers to refusals."""

from typing import Any

from flask import Flask, Response, abort, jsonify, request
from identity_verifier import Rule, VerificationError, VerifiedClaims
from werkzeug.exceptions import HTTPException

from examples.chain.client import RefusedError, UnavailableError, clients, send, verifier_of


def make_app(name: str) -> Flask:
    app = Flask(name)
    app.register_error_handler(VerificationError, refuse_token)
    app.register_error_handler(RefusedError, lambda error: answer(403, str(error)))
    app.register_error_handler(UnavailableError, lambda error: answer(503, str(error)))
    app.register_error_handler(HTTPException, lambda error: answer(error.code, error.name))
    return app


def authenticate(tenant: str, audience: str, scope: str) -> tuple[str, VerifiedClaims]:
    """Return the caller's token, verified for this audience at the issuer of the tenant in the path."""
    if tenant not in clients():
        abort(404)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    claims = verifier_of(tenant, audience).verify(token)
    if not claims.has_scope(scope):
        raise RefusedError(f"the scope {scope} is needed")
    return token, claims


def refuse_token(error: VerificationError) -> Response:
    if error.is_unavailable:
        return answer(503, error.rule)
    response = answer(401, error.rule)
    response.headers["WWW-Authenticate"] = "Bearer" if error.rule is Rule.MISSING else 'Bearer error="invalid_token"'
    return response


def answer(status: int | None, reason: str) -> Response:
    response = jsonify({"error_description": reason})
    response.status_code = status or 500
    return response


def call(method: str, url: str, token: str) -> Any:
    """Call the next service with a token for it. Raises ``RefusedError``, ``UnavailableError``."""
    return send(method, url, headers={"Authorization": f"Bearer {token}"})
