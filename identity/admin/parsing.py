"""Reading a request: JSON with one meaning, queries without repetition, opaque cursors."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from flask import request
from identity_verifier.strict_json import StrictJsonError, parse_object
from pydantic import BaseModel, ValidationError

from identity.actions.idempotency import IdempotentRequest
from identity.admin.errors import Faulty, UnsupportedMediaType
from identity.admin.sentences import name_of, phrase_of, steps_of, without_echoes
from identity.edge.request import read_body
from identity.model.errors import InvalidRequest
from identity.model.ids import parse_id

BODY_BYTES_MAX = 128 * 1024
"""Twenty RSA keys with their certificates, or twenty rich authorization details, with room to spare."""

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
VERSION = re.compile(r'(?:W/)?"([0-9]{1,18})"')
POINTER_LENGTH_MAX = 256
NAME_LENGTH_MAX = 64  # in a sentence

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")


def read_json_body() -> bytes:
    """Return the body, or an empty object when there is none. Raises ``LimitExceeded``, ``UnsupportedMediaType``."""
    body = read_body(BODY_BYTES_MAX)
    if not body and "Transfer-Encoding" not in request.headers:  # a broken chunked body arrives as an empty one
        return b"{}"
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("the body must be application/json, not compressed")
    return body


def parse_body(model: type[Model], body: bytes) -> Model:
    """Return what ``body`` asks for. Raises ``InvalidRequest``, with every fault and where it is."""
    try:
        document = parse_object(body)
    except StrictJsonError as error:
        raise InvalidRequest(f"the body is not acceptable JSON: {error}", reason="malformed_json") from None
    if any("\0" in text for text in _strings(document)):
        raise InvalidRequest("the body holds a NUL character", reason="malformed_json")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = without_echoes(error.errors(include_input=False))
        raise Faulty([_fault(found, document) for found in faults]) from None


def parse_query(model: type[Model]) -> Model:
    """Return what the query string asks for. Raises ``InvalidRequest``."""
    given = request.args.to_dict(flat=False)
    repeated = [name for name, values in given.items() if len(values) > 1]
    if repeated:
        raise InvalidRequest("a query parameter is repeated", pointer=repeated[0][:POINTER_LENGTH_MAX])
    flat = {name: values[0] for name, values in given.items()}
    if any("\0" in text for text in _strings(flat)):
        raise InvalidRequest("the query holds a NUL character")
    try:
        return model.model_validate_strings(flat)
    except ValidationError as error:
        raise Faulty([_fault_of_query(found) for found in error.errors(include_input=False)]) from None


def idempotency_key(body: bytes) -> IdempotentRequest | None:
    """Return the request under its Idempotency-Key, if it has one. Raises ``InvalidRequest``."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("an Idempotency-Key is 1 to 255 visible ASCII characters", pointer="Idempotency-Key")
    asked = b"\n".join((request.method.encode(), request.full_path.encode("utf-8", "surrogatepass"), body))
    return IdempotentRequest(hashlib.sha256(key.encode()).digest(), hashlib.sha256(asked).digest())


def expected_version() -> int | None:
    """Return the version that If-Match names (RFC 9110 §13.1.1), None where any will do. Raises ``InvalidRequest``."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    match = VERSION.fullmatch(header.strip())
    if match is None:
        raise InvalidRequest("If-Match is one entity tag of ours", pointer="If-Match")
    return int(match.group(1))


def changes_in(asked: BaseModel, *nullable: str) -> dict[str, Any]:
    """Return the members that a PATCH gives another value; null is one only where it says something (RFC 7396 §1)."""
    given = {name: getattr(asked, name) for name in asked.model_fields_set}
    return {name: value for name, value in given.items() if value is not None or name in nullable}


def write_cursor(*key: str) -> str:
    """Return a page's last key as opaque text."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *, length: int = 1) -> tuple[str, ...] | None:
    """Return the key in a cursor. Raises ``InvalidRequest``."""
    if cursor is None:
        return None
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != length or not all(isinstance(part, str) for part in key):
        raise InvalidRequest("the cursor is not one of ours", pointer="after")
    if any("\0" in part or not part.isprintable() for part in key):
        raise InvalidRequest("the cursor is not one of ours", pointer="after")
    return tuple(key)


def read_id_cursor(cursor: str | None) -> UUID | None:
    """Return the id in a cursor. Raises ``InvalidRequest``."""
    key = read_cursor(cursor)
    return None if key is None else known_id(key[0])


def known_id(text: str) -> UUID:
    """Return the id after which a page begins. Raises ``InvalidRequest``."""
    found = parse_id(text)
    if found is None:
        raise InvalidRequest("the cursor is not one of ours", pointer="after")
    return found


def known_instant(text: str) -> datetime:
    """Return the instant behind which a page begins. Raises ``InvalidRequest``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidRequest("the cursor is not one of ours", pointer="after")
    return found


def cut_page(rows: Sequence[T], limit: int, write: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """Return at most ``limit`` of ``rows``, and where the next page begins when there are more."""
    return (rows[:limit], write(rows[limit - 1])) if len(rows) > limit else (rows, None)


def _fault(found: Any, document: dict[str, Any]) -> tuple[str, str]:
    place = _place(steps_of(found), document)
    name = name_of(place)
    return pointer_to(place), f"{name[:NAME_LENGTH_MAX] or 'the body'} {phrase_of(found, name)}"


def _fault_of_query(found: Any) -> tuple[str, str]:
    name = str(found["loc"][0])[:POINTER_LENGTH_MAX]
    return name, f"{name[:NAME_LENGTH_MAX]} {phrase_of(found, name)}"


def _place(steps: Sequence[str | int], document: Any) -> list[str | int]:
    """Return the steps without the names of variants, which are not part of the document; the last may be missing."""
    place, here = [], document
    for number, step in enumerate(steps, 1):
        if step in here if isinstance(here, dict) else isinstance(here, list):
            place.append(step)
            here = here[step]
        elif number == len(steps) and isinstance(here, dict):
            place.append(step)
    return place


def pointer_to(place: Sequence[str | int]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "".join(f"/{step}" for step in steps)[:POINTER_LENGTH_MAX]


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, member in value.items():
                yield name
                yield from _strings(member)
        case list():
            for item in value:
                yield from _strings(item)
