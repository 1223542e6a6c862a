"""Verify the access tokens of an Identity Foundation tenant.

``verify_token`` is the whole decision, without clock or network; ``Verifier`` adds both for a resource
server. ``Introspector`` queries the issuer whether a token is still live, for actions that cannot be undone.
``VerificationError`` is about a token, ``ConfigurationError`` about how this service is set up.
"""

from identity_verifier.claims import Actor, VerifiedClaims
from identity_verifier.errors import ConfigurationError, Misconfiguration, Rule, VerificationError
from identity_verifier.fetch import FetchError, fetch_document, post_form
from identity_verifier.introspector import Introspector
from identity_verifier.keys import KeySet, VerificationKey, fault_of_key, parse_key_set
from identity_verifier.rules import Expected, verify_token
from identity_verifier.verifier import Verifier

__all__ = [
    "Actor",
    "ConfigurationError",
    "Expected",
    "FetchError",
    "Introspector",
    "KeySet",
    "Misconfiguration",
    "Rule",
    "VerificationError",
    "VerificationKey",
    "VerifiedClaims",
    "Verifier",
    "fault_of_key",
    "fetch_document",
    "parse_key_set",
    "post_form",
    "verify_token",
]
