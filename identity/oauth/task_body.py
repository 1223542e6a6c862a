"""The request bodies of the tasks API: strict JSON, in which every member is known."""

from typing import Annotated, Any, TypeVar

from flask import g, request
from identity_verifier.envelope import MAX_TOKEN_BYTES
from identity_verifier.strict_json import StrictJsonError, parse_object
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from identity.actions.presented_tokens import ExchangeRequest
from identity.actions.task_opening import TaskRequest
from identity.actions.upstream import decode_unverified
from identity.edge.request import FORM_BYTES_MAX, read_body
from identity.model.authorization_details import DETAILS_MAX, check_details
from identity.model.errors import InvalidRequest
from identity.model.exchange import Requested
from identity.model.scope import SCOPES_MAX, check_scopes
from identity.model.task import (
    AUTHORITY_MAX,
    BUDGET_FAN_OUT_MAX,
    BUDGET_TOKENS_MAX,
    BUDGET_TOKENS_PER_MINUTE_MAX,
    PURPOSE_CHARACTERS_MAX,
    Budget,
)
from identity.model.tenant import DEPTH_MAX, TASK_DURATION_MAX_S
from identity.model.upstream_token import KINDS_OF_TYPE
from identity.oauth.form import RepeatedResource

JSON_TYPE = "application/json"
LOCATION_LENGTH_MAX = 64  # of a fault, in a sentence
PAGE, PAGE_MAX = 50, 200

Purpose = Annotated[
    str, StringConstraints(min_length=1, max_length=PURPOSE_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Resource = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f]+$")]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_BYTES, pattern=r"^[\x21-\x7e]+$")]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Model = TypeVar("Model", bound=BaseModel)


class RequestModel(BaseModel):
    """Strict: every member is known, and of its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Entry(RequestModel):
    """The authority requested at one resource server. A member that is left out requests all that is held."""

    resource: Resource
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=SCOPES_MAX)] | None = None
    authorization_details: Annotated[list[dict[str, Any]], Field(max_length=DETAILS_MAX)] | None = None


class Limits(RequestModel):
    """The budget of a task. A member that is left out is not limited."""

    tokens: Annotated[int, Field(ge=1, le=BUDGET_TOKENS_MAX)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=BUDGET_TOKENS_PER_MINUTE_MAX)] | None = None
    fan_out: Annotated[int, Field(ge=1, le=BUDGET_FAN_OUT_MAX)] | None = None
    depth: Annotated[int, Field(ge=1, le=DEPTH_MAX)] | None = None


class Proof(RequestModel):
    """A subject token, as in an exchange (RFC 8693 §2.1)."""

    subject_token: Token | None = None
    subject_token_type: str | None = None


class NewTask(Proof):
    """A task to be opened. ``expires_in`` in seconds."""

    purpose: Purpose
    authority: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=AUTHORITY_MAX)] | None = None
    expires_in: Annotated[int, Field(ge=1, le=TASK_DURATION_MAX_S)] | None = None
    budget: Limits | None = None


class Nothing(RequestModel):
    """An empty object, or no body at all."""


def read_json() -> bytes:
    """Return the body, or an empty object when there is none. It is kept: a second attempt has no other.

    Raises ``InvalidRequest``, ``LimitExceeded``.
    """
    if "task_body" not in g:
        g.task_body = _read_json()
    found: bytes = g.task_body
    return found


def _read_json() -> bytes:
    if request.query_string:
        raise InvalidRequest("parameters belong into the body, not into the URL", reason="query_string")
    body = read_body(FORM_BYTES_MAX)
    if not body and "Transfer-Encoding" not in request.headers:  # a broken chunked body arrives as an empty one
        return b"{}"
    if request.mimetype != JSON_TYPE or request.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidRequest(f"the media type must be {JSON_TYPE}, not compressed", reason="media_type")
    return body


def parse_json(model: type[Model], body: bytes) -> Model:
    """Return ``body`` as a value of ``model``. Raises ``InvalidRequest``, with the first fault and its location."""
    try:
        parse_object(body)
    except StrictJsonError as error:
        raise InvalidRequest(f"the body is not acceptable JSON: {error}", reason="malformed_json") from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error.errors(include_input=False, include_url=False)[0])) from None


def _sentence(fault: Any) -> str:
    location = ".".join(str(step) for step in fault["loc"])[:LOCATION_LENGTH_MAX]
    rule = "is not a member that is known here" if fault["type"] == "extra_forbidden" else fault["msg"]
    return f"{location or 'the body'}: {rule}"


def parse_task(body: bytes) -> TaskRequest:
    """Return the task that a body requests. Raises ``InvalidRequest``, ``InvalidSubjectToken``."""
    read = parse_json(NewTask, body)
    limits = None if read.budget is None else Budget(**read.budget.model_dump())
    return TaskRequest(
        purpose=read.purpose,
        subject=parse_proof(read),
        authority=None if read.authority is None else _authority(read.authority),
        expires_in_s=read.expires_in,
        budget=None if limits == Budget() else limits,
    )


def _authority(entries: tuple[Entry, ...]) -> tuple[Requested, ...]:
    if len({entry.resource for entry in entries}) < len(entries):
        raise RepeatedResource("authority names each resource once", reason="repeated_parameter")
    return tuple(map(_requested, entries))


def _requested(entry: Entry) -> Requested:
    if entry.scopes is not None:
        check_scopes(entry.scopes)
    details = None if entry.authorization_details is None else check_details(entry.authorization_details)
    return Requested(entry.resource, entry.scopes, details)


def parse_proof(read: Proof) -> ExchangeRequest | None:
    """Return the decoded subject token of a body, None where it has none.

    Raises ``InvalidRequest``, ``InvalidSubjectToken``.
    """
    if (read.subject_token is None) != (read.subject_token_type is None):
        raise InvalidRequest("subject_token and subject_token_type come together", reason="subject_token_missing")
    if read.subject_token is None or read.subject_token_type is None:
        return None
    if read.subject_token_type not in KINDS_OF_TYPE:
        raise InvalidRequest("subject_token_type is not supported", reason="subject_token_type")
    return ExchangeRequest(decode_unverified(read.subject_token), read.subject_token_type, None, Requested())
