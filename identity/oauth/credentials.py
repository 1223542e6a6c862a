"""The credential of a client in a request: an assertion, HTTP Basic or a secret in the form (RFC 6749 §2.3)."""

from datetime import datetime

from identity.actions.client_authentication import (
    AssertionCredential,
    Credential,
    InvalidClient,
    SecretCredential,
    parse_assertion,
    parse_secret,
)
from identity.model.client import AuthMethod
from identity.model.errors import InvalidRequest
from identity.oauth.form import Form, read_basic, tried_basic

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def read_credential(form: Form, issuer: str, now: datetime) -> Credential:
    """Return the one credential of a request (RFC 6749 §2.3). Raises ``InvalidClient``, ``InvalidRequest``."""
    basic = read_basic()
    try:
        return _credential(form, basic, issuer, now)
    except InvalidClient as refusal:
        refusal.claims(_claimed(form, basic))
        raise


def _claimed(form: Form, basic: tuple[str, str] | None) -> str | None:
    """Return the client id that a request names; None where it equals the secret."""
    client_id, secret = (form.get("client_id"), form.get("client_secret")) if "client_id" in form else basic or ("", "")
    return None if client_id == secret else client_id


def _credential(form: Form, basic: tuple[str, str] | None, issuer: str, now: datetime) -> Credential:
    assertion, secret = form.get("client_assertion"), form.get("client_secret")
    if [tried_basic(), assertion is not None, secret is not None].count(True) > 1:
        raise InvalidRequest("a client authenticates in one way only", reason="two_credentials")
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest("client_assertion_type is not known here", reason="client_assertion_type")
        return _same_client(form, parse_assertion(assertion, issuer, now))
    if secret is not None:
        if "client_id" not in form:
            raise InvalidClient("client_id_missing")
        return parse_secret(form["client_id"], secret, AuthMethod.CLIENT_SECRET_POST)
    if basic is None:
        raise InvalidClient("credential_missing")
    return _same_client(form, parse_secret(*basic, AuthMethod.CLIENT_SECRET_BASIC))


def _same_client(form: Form, credential: SecretCredential | AssertionCredential) -> Credential:
    if form.get("client_id", credential.client_id) != credential.client_id:
        raise InvalidClient("client_id_differs", claimed=credential.claimed)
    return credential
