"""Pure checks of the responses of any SCIM server, and the response that they check."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim.discovery import LIST_SCHEMA
from scim.errors import ERROR_SCHEMA

SHOWN_CHARACTERS_MAX = 200
MEDIA_TYPE = "application/scim+json"


class UnmetError(Exception):
    """A response breaks the standard; the message says how."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. The keys of ``headers`` are in lower case; ``body`` is None where there is no JSON object."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    text: str = ""

    def member(self, name: str) -> Any:
        """Return a member of the body; case does not matter (RFC 7643 §2.1)."""
        return next((value for key, value in (self.body or {}).items() if key.lower() == name.lower()), None)


def answer_of(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """Return the answer that a response holds."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    lower = {name.lower(): value for name, value in headers.items()}
    return Answer(status, lower, found if isinstance(found, dict) else None, content.decode(errors="replace"))


def expect(condition: object, what: str) -> None:
    """Raise ``UnmetError`` unless ``condition`` holds."""
    if not condition:
        raise UnmetError(what)


def expect_status(answer: Answer, *wanted: int) -> None:
    """Raise ``UnmetError`` for any other status."""
    shown = " or ".join(map(str, wanted))
    expect(
        answer.status in wanted, f"answered {answer.status} instead of {shown}: {answer.text[:SHOWN_CHARACTERS_MAX]}"
    )


def expect_json(answer: Answer, *wanted: int) -> Mapping[str, Any]:
    """Return the object in a SCIM answer (RFC 7644 §3.1)."""
    expect_status(answer, *wanted)
    kind = answer.headers.get("content-type", "").split(";")[0].strip()
    expect(kind == MEDIA_TYPE, f"the content type is {kind or 'missing'} instead of {MEDIA_TYPE}")
    if answer.body is None:
        raise UnmetError("the body is not a JSON object")
    return answer.body


def expect_resource(answer: Answer, resource_type: str, *wanted: int) -> str:
    """Return the id of the resource in an answer (RFC 7643 §3.1)."""
    expect_json(answer, *wanted)
    id_, meta, schemas = answer.member("id"), answer.member("meta"), answer.member("schemas")
    expect(isinstance(id_, str) and id_, "the resource has no id")
    expect(isinstance(schemas, list) and schemas, "the resource has no schemas")
    expect(isinstance(meta, dict), "the resource has no meta")
    expect(meta.get("resourceType") == resource_type, f"meta.resourceType is {meta.get('resourceType')!r}")
    return str(id_)


def expect_list(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the resources of a ListResponse (RFC 7644 §3.4.2)."""
    expect_json(answer, 200)
    schemas, total = answer.member("schemas"), answer.member("totalResults")
    expect(isinstance(schemas, list) and LIST_SCHEMA in schemas, "the answer is not a ListResponse")
    expect(type(total) is int, f"totalResults is {total!r} instead of a number")
    resources = answer.member("Resources") or []
    expect(isinstance(resources, list), "Resources is not an array")
    expect(len(resources) <= total, f"{len(resources)} resources of {total} in all")
    return list(resources)


def expect_error(answer: Answer, status: int, *scim_types: str) -> None:
    """Raise ``UnmetError`` for anything but a SCIM error (RFC 7644 §3.12) of that status and of these types."""
    expect_json(answer, status)
    schemas, said = answer.member("schemas"), answer.member("status")
    expect(isinstance(schemas, list) and ERROR_SCHEMA in schemas, "the error does not say that it is one (schemas)")
    expect(said == str(status), f"status is {said!r} instead of the text {str(status)!r}")
    found = answer.member("scimType")
    shown = " or ".join(scim_types)
    expect(not scim_types or found in scim_types, f"scimType is {found!r} instead of {shown}")
