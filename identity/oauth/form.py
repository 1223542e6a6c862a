"""The parameters of a request: each given once, and those of the token service in the body alone."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from flask import request

from identity.edge.request import FORM_BYTES_MAX, read_body
from identity.model.errors import InvalidRequest

FIELDS_MAX = 50
FORM_TYPE = "application/x-www-form-urlencoded"
Form = Mapping[str, str]


class RepeatedResource(InvalidRequest):
    """More than one ``resource``: a token is for one audience (RFC 8707 §2)."""

    code = "invalid_target"


def read_form() -> Form:
    """Return the parameters of a POSTed form (RFC 6749 §3.2). Raises ``InvalidRequest``, ``LimitExceeded``.

    An empty value counts as absent (§3.1). A query string is refused: a token in a URL would be in every log.
    """
    if request.query_string:
        raise InvalidRequest("parameters belong into the body, not into the URL", reason="query_string")
    if request.mimetype != FORM_TYPE:
        raise InvalidRequest(f"the media type must be {FORM_TYPE}", reason="media_type")
    return _parameters(read_body(FORM_BYTES_MAX), "body")


def read_query() -> Form:
    """Return the parameters in the URL (RFC 6749 §3.1). Raises ``InvalidRequest``."""
    if len(request.query_string) > FORM_BYTES_MAX:
        raise InvalidRequest(f"the query has more than {FORM_BYTES_MAX} bytes", reason="query_string")
    return _parameters(request.query_string, "query")


def _parameters(form: bytes, part: str) -> Form:
    try:
        pairs = parse_qsl(form.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise InvalidRequest(f"the {part} is not a form of at most {FIELDS_MAX} UTF-8 fields", reason="form") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            error = RepeatedResource if name in ("resource", "audience") else InvalidRequest
            raise error(f"{_plain(name)} may be given once", reason="repeated_parameter")
        if "\0" in value:
            raise InvalidRequest(f"{_plain(name)} holds a character that no value may hold", reason="null_character")
        parameters[name] = value
    return {name: value for name, value in parameters.items() if value}


def _plain(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else "a parameter"


def tried_basic() -> bool:
    """Return whether the client sent HTTP Basic: only then does the challenge name it (RFC 6749 §5.2)."""
    return request.headers.get("Authorization", "").partition(" ")[0].lower() == "basic"


def read_basic() -> tuple[str, str] | None:
    """Return client id and secret from HTTP Basic (RFC 6749 §2.3.1: form-urlencoded), or None when there are none."""
    try:
        credentials = request.authorization
    except ValueError:  # Werkzeug raises where the base64 is not even ASCII
        return None
    if credentials is None or credentials.type != "basic":
        return None
    return unquote_plus(credentials.username or ""), unquote_plus(credentials.password or "")
