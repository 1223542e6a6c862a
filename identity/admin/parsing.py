"""Parse a request: JSON with one meaning, queries without repetition, the headers of idempotency and versions."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from flask import request
from identity_verifier.strict_json import StrictJsonError, parse_object
from pydantic import BaseModel, ValidationError

from identity.actions.idempotency import IdempotentRequest
from identity.admin.errors import Faulty, UnsupportedMediaType
from identity.admin.sentences import name_of, phrase_of, steps_of, without_echoes
from identity.edge.request import read_body
from identity.model.errors import InvalidRequest

BODY_BYTES_MAX = 128 * 1024
"""Twenty RSA keys with their certificates, or twenty rich authorization details, with room to spare."""

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
VERSION = re.compile(r'(?:W/)?"([0-9]{1,18})"')
POINTER_LENGTH_MAX = 256
NAME_LENGTH_MAX = 64  # in a sentence

Model = TypeVar("Model", bound=BaseModel)


def read_json_body() -> bytes:
    """Return the body, or an empty object when there is none. Raises ``LimitExceeded``, ``UnsupportedMediaType``."""
    body = read_body(BODY_BYTES_MAX)
    if not body and "Transfer-Encoding" not in request.headers:  # a broken chunked body arrives as an empty one
        return b"{}"
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("the body must be application/json, not compressed")
    return body


def parse_body(model: type[Model], body: bytes) -> Model:
    """Return the model of a JSON body. Raises ``InvalidRequest``, with every fault and its location."""
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
    """Return the model of the query string. Raises ``InvalidRequest``."""
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
    requested = b"\n".join((request.method.encode(), request.full_path.encode("utf-8", "surrogatepass"), body))
    return IdempotentRequest(hashlib.sha256(key.encode()).digest(), hashlib.sha256(requested).digest())


def expected_version() -> int | None:
    """Return the version that If-Match names (RFC 9110 §13.1.1), None for any. Raises ``InvalidRequest``."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    match = VERSION.fullmatch(header.strip())
    if match is None:
        raise InvalidRequest("If-Match is one entity tag of ours", pointer="If-Match")
    return int(match.group(1))


def _fault(found: Any, document: dict[str, Any]) -> tuple[str, str]:
    location = _location(steps_of(found), document)
    name = name_of(location)
    return pointer_to(location), f"{name[:NAME_LENGTH_MAX] or 'the body'} {phrase_of(found, name)}"


def _fault_of_query(found: Any) -> tuple[str, str]:
    name = str(found["loc"][0])[:POINTER_LENGTH_MAX]
    return name, f"{name[:NAME_LENGTH_MAX]} {phrase_of(found, name)}"


def _location(steps: Sequence[str | int], document: Any) -> list[str | int]:
    """Return the steps without the names of variants, which are no part of the document. The last may be missing."""
    location, here = [], document
    for number, step in enumerate(steps, 1):
        if step in here if isinstance(here, dict) else isinstance(here, list):
            location.append(step)
            here = here[step]
        elif number == len(steps) and isinstance(here, dict):
            location.append(step)
    return location


def pointer_to(location: Sequence[str | int]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
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
