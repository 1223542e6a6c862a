"""The two exceptions of this package, and the closed sets of what they can name.

``VerificationError`` is about a token, or about an issuer that cannot be reached now. ``ConfigurationError`` is about
how this service is set up: every token would end in it until a setting is changed.
"""

from enum import Enum


class Text(str, Enum):
    """A closed set of texts, printed as they are; Python 3.10 has no ``StrEnum``."""

    def __str__(self) -> str:
        return str(self.value)


class Rule(Text):
    """What a token, a key set or an issuer failed. The values are stable: log, count and alert on them."""

    MISSING = "missing"
    SIZE = "size"
    SHAPE = "shape"
    TYPE = "type"
    ALGORITHM = "algorithm"
    CRITICAL = "critical"
    KEY = "key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    ISSUER = "issuer"
    TENANT = "tenant"
    AUDIENCE = "audience"
    TIMES = "times"
    EXPIRED = "expired"
    ISSUED_IN_FUTURE = "issued_in_future"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME = "lifetime"
    SUBJECT = "subject"
    CLIENT = "client"
    TOKEN_ID = "token_id"  # noqa: S105  the name of a rule, not a secret
    TASK = "task"
    ACTORS = "actors"
    DEPTH = "depth"
    SCOPE = "scope"
    AUTHORIZATION_DETAILS = "authorization_details"
    CONFIRMATION = "confirmation"
    AUTHENTICATION = "authentication"
    INACTIVE = "inactive"
    KEY_SET = "key_set"
    KEYS_UNAVAILABLE = "keys_unavailable"
    INTROSPECTION_UNAVAILABLE = "introspection_unavailable"


ISSUER_UNREACHABLE = frozenset({Rule.KEYS_UNAVAILABLE, Rule.INTROSPECTION_UNAVAILABLE})


class VerificationError(Exception):
    """A token was not accepted. ``rule`` says which rule failed; ``detail`` never repeats the token.

    ``is_unavailable`` is true when nothing is known against the token but the issuer could not be reached:
    answer 503 to it, and 401 to everything else.
    """

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

    @property
    def is_unavailable(self) -> bool:
        return self.rule in ISSUER_UNREACHABLE


class Misconfiguration(Text):
    """What is set up wrongly. The values are stable."""

    ISSUER = "issuer"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE = "audience"
    TENANT = "tenant"
    OPTION = "option"
    URL = "url"
    NOT_FOUND = "not_found"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    NOT_AN_ISSUER = "not_an_issuer"
    TLS = "tls"
    CLIENT = "client"
    CLIENT_REFUSED = "client_refused"
    TOKEN_TYPE = "token_type"  # noqa: S105  the name of a fault, not a secret


class ConfigurationError(ValueError):
    """This service is set up wrongly. ``code`` says in what; ``detail`` says what to change.

    Answer 500 and inform the operator of this service: waiting does not help, and no other token would. ``detail``
    never repeats a token or a secret.
    """

    def __init__(self, code: Misconfiguration, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
