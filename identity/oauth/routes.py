"""Routes of the token service."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from identity.actions.signing_keys import published_keys
from identity.edge.call import tenant_of
from identity.edge.public_documents import public_document
from identity.edge.runtime import open_transaction, runtime
from identity.model.errors import Refusal
from identity.oauth.authorization import refuse_authorization
from identity.oauth.call import answered_with_keys, oauth_call
from identity.oauth.discovery import KEYS_CACHE_CONTROL, metadata_of
from identity.oauth.errors import render_refusal
from identity.oauth.server import TokenService, make_token_service
from identity.oauth.tokens import Introspection, Revocation

blueprint = Blueprint("oauth", __name__)
blueprint.register_error_handler(Refusal, render_refusal)


@blueprint.record_once
def start(state: Any) -> None:
    """Make the server with the application."""
    state.app.extensions["token_service"] = make_token_service()


def token_service() -> TokenService:
    """Return the running server."""
    found: TokenService = current_app.extensions["token_service"]
    return found


@blueprint.post("/t/<slug>/oauth/token")
def token(slug: str) -> Response:
    """Issue a token (RFC 6749 §3.2). Keys of an upstream issuer are fetched between two tries, never within one."""
    return answered_with_keys(slug, lambda: answer_token(slug))


def answer_token(slug: str) -> Response:
    """Answer in one transaction."""
    with oauth_call(slug):
        response: Response = token_service().create_token_response()
    return response


@blueprint.post("/t/<slug>/oauth/introspect")
def introspect(slug: str) -> Response:
    """Say whether a token is alive (RFC 7662 §2)."""
    with oauth_call(slug):
        response: Response = token_service().create_endpoint_response(Introspection.ENDPOINT_NAME)
    return response


@blueprint.post("/t/<slug>/oauth/revoke")
def revoke(slug: str) -> Response:
    """End a token (RFC 7009 §2)."""
    with oauth_call(slug):
        response: Response = token_service().create_endpoint_response(Revocation.ENDPOINT_NAME)
    return response


@blueprint.route("/t/<slug>/oauth/authorize", methods=["GET", "POST"])
def authorize(slug: str) -> Response:
    """Refuse an authorization request (RFC 6749 §3.1): people do not sign in here yet."""
    refuse_authorization(slug)


@public_document(
    blueprint,
    "/t/<slug>/.well-known/openid-configuration",
    "/.well-known/openid-configuration/t/<slug>",
    "/.well-known/oauth-authorization-server/t/<slug>",
    "/t/<slug>/.well-known/oauth-authorization-server",
)
def metadata(slug: str) -> Response:
    """Publish the issuer's metadata wherever clients look for it: at the three places that RFC 8414 names (§3, §5), and
    behind the issuer, where some clients look for it all the same.
    """
    response = jsonify(metadata_of(tenant_of(slug), runtime()))
    response.headers["Cache-Control"] = KEYS_CACHE_CONTROL
    return response


@public_document(blueprint, "/t/<slug>/jwks", "/t/<slug>/.well-known/jwks.json")
def jwks(slug: str) -> Response:
    """Publish the keys that sign, will sign, or signed what may still live (RFC 7517 §5).

    ``jwks_uri`` names the first place; some clients look at the second without reading the metadata.
    """
    tenant = tenant_of(slug)
    with open_transaction(tenant.id) as tx:
        keys = published_keys(tx, now=runtime().clock())
    response = jsonify(keys)
    response.headers["Cache-Control"] = KEYS_CACHE_CONTROL
    return response
