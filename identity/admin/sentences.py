"""Sentences about faults of a request: one phrase for each kind of fault that pydantic finds."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

A_TIME = "2026-11-30T10:00:00Z"
NOUNS = {"txn": "a task id (UUID)"}
QUOTED = re.compile(r"'([^']*)'")

Context = Mapping[str, Any]
Phrase = str | Callable[[Context], str]
"""A template over the context of a fault, or a function of it."""


def _at_least(things: str) -> Phrase:
    def phrase(context: Context) -> str:
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} {things}"

    return phrase


def _one_of(context: Context) -> str:
    """Return the choices, which pydantic quotes in its own list of them."""
    choices = QUOTED.findall(str(context.get("expected", context.get("expected_tags", ""))))
    return f"must be {choices[0]}" if len(choices) == 1 else f"must be one of {', '.join(choices)}"


def _characters(context: Context) -> str:
    edges = ", nor begin or end with a space" if r"\x00-\x20" in str(context.get("pattern")) else ""
    return f"must not hold control characters{edges}"


AN_ID = "must be an id (UUID)"
OTHERWISE = "is not valid"
BY_PHRASE: dict[Phrase, str] = {
    "is required": "missing union_tag_not_found",
    "is not known here": "extra_forbidden",
    "must be a string": "string_type string_unicode",
    "must be a whole number": "int_type int_parsing int_parsing_size int_from_float",
    "must be true or false": "bool_type bool_parsing",
    "must be an array": "tuple_type list_type",
    "must be an object": "dict_type model_type",
    AN_ID: "uuid_type uuid_parsing",
    f"must be a time with its offset from UTC, as in {A_TIME}": (
        "datetime_type datetime_parsing datetime_from_date_parsing datetime_object_invalid timezone_aware"
    ),
    "must be at least {ge}": "greater_than_equal",
    "must be at most {le}": "less_than_equal",
    "must have at most {max_length} characters": "string_too_long",
    "must have at most {max_length} items": "too_long",
    _at_least("characters"): "string_too_short",
    _at_least("items"): "too_short",
    _characters: "string_pattern_mismatch",
    _one_of: "enum literal_error union_tag_invalid",
}
PHRASES = {kind: phrase for phrase, kinds in BY_PHRASE.items() for kind in kinds.split()}
"""By pydantic's name of the fault."""


def phrase_of(fault: Mapping[str, Any], name: str) -> str:
    """Return the predicate of a sentence about a fault; its subject is the member ``name``."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_not_found" and _member_of(context) is None:
        return "must be a string or an object"
    phrase = PHRASES.get(kind, OTHERWISE)
    if phrase is AN_ID and name in NOUNS:
        return f"must be {NOUNS[name]}"
    return phrase.format(**context) if isinstance(phrase, str) else phrase(context)


def without_echoes(faults: Sequence[Any]) -> list[Any]:
    """Return the faults without arrays that are too short only because their items are faulty."""
    return [fault for fault in faults if fault["type"] != "too_short" or not any(map(partial(_is_in, fault), faults))]


def _is_in(outer: Mapping[str, Any], fault: Mapping[str, Any]) -> bool:
    """Return True when a fault is inside the value that has the fault ``outer``."""
    depth = len(outer["loc"])
    return len(fault["loc"]) > depth and fault["loc"][:depth] == outer["loc"]


def steps_of(fault: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return the location of a fault; a faulty choice by a member is a fault of that member."""
    steps: tuple[str | int, ...] = tuple(fault["loc"])
    member = _member_of(fault.get("ctx", {}))
    return steps if member is None else (*steps, member)


def _member_of(context: Context) -> str | None:
    """Return the member by which a variant is chosen, None where a function chooses."""
    quoted = QUOTED.fullmatch(str(context.get("discriminator", "")))
    return None if quoted is None else quoted[1]


def name_of(steps: Sequence[str | int]) -> str:
    """Return a location as people write it: ``jwks.keys[0].kty``."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return "".join(parts).removeprefix(".")
