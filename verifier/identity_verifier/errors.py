"""The one exception of this package, and the closed set of rules it can name."""

from enum import StrEnum


class Rule(StrEnum):
    """What a token, a key set or an issuer failed. The values are stable: log, count and alert on them."""

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

    ``is_unavailable`` is true when nothing is known against the token but the issuer could not be asked:
    answer 503 to it, and 401 to everything else.
    """

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

    @property
    def is_unavailable(self) -> bool:
        return self.rule in ISSUER_UNREACHABLE
