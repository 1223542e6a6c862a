"""Routes of the token service."""

from flask import Blueprint, Response, jsonify

from identity.actions.signing_keys import published_keys
from identity.edge.call import tenant_of
from identity.edge.public_documents import public_document
from identity.edge.runtime import open_transaction, runtime
from identity.model.errors import Refusal
from identity.oauth.authorization import refuse_authorization
from identity.oauth.discovery import KEYS_CACHE_CONTROL, metadata_of
from identity.oauth.errors import render_refusal
from identity.oauth.grants import parse_grant
from identity.oauth.pipeline import answer
from identity.oauth.tokens import Introspection, Revocation

blueprint = Blueprint("oauth", __name__)
blueprint.register_error_handler(Refusal, render_refusal)


@blueprint.post("/t/<slug>/oauth/token")
def token(slug: str) -> Response:
    """Issue a token (RFC 6749 §3.2)."""
    return answer(slug, parse_grant)


@blueprint.post("/t/<slug>/oauth/introspect")
def introspect(slug: str) -> Response:
    """Return the status of a token (RFC 7662 §2)."""
    return answer(slug, Introspection.parse)


@blueprint.post("/t/<slug>/oauth/revoke")
def revoke(slug: str) -> Response:
    """Revoke a token (RFC 7009 §2)."""
    return answer(slug, Revocation.parse)


@blueprint.route("/t/<slug>/oauth/authorize", methods=["GET", "POST"])
def authorize(slug: str) -> Response:
    """Refuse an authorization request (RFC 6749 §3.1): no client is registered for one yet."""
    refuse_authorization(slug)


@public_document(
    blueprint,
    "/t/<slug>/.well-known/openid-configuration",
    "/.well-known/openid-configuration/t/<slug>",
    "/.well-known/oauth-authorization-server/t/<slug>",
    "/t/<slug>/.well-known/oauth-authorization-server",
)
def metadata(slug: str) -> Response:
    """Publish the issuer's metadata (RFC 8414 §3, §5), also at a place behind the issuer that some clients try."""
    response = jsonify(metadata_of(tenant_of(slug), runtime()))
    response.headers["Cache-Control"] = KEYS_CACHE_CONTROL
    return response


@public_document(blueprint, "/t/<slug>/jwks", "/t/<slug>/.well-known/jwks.json")
def jwks(slug: str) -> Response:
    """Publish the keys that sign, will sign, or signed a token that may be active (RFC 7517 §5).

    ``jwks_uri`` names the first place; some clients try the second without reading the metadata.
    """
    tenant = tenant_of(slug)
    with open_transaction(tenant.id) as tx:
        keys = published_keys(tx, now=runtime().clock())
    response = jsonify(keys)
    response.headers["Cache-Control"] = KEYS_CACHE_CONTROL
    return response
