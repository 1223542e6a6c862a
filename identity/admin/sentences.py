"""What is wrong with a member or parameter, in our words: one phrase for each kind of fault that validation finds."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

A_TIME = "2026-11-30T10:00:00Z"
NOUNS = {"txn": "a task id (UUID)"}
QUOTED = re.compile(r"'([^']*)'")

Context = Mapping[str, Any]
Phrase = Callable[[Context], str]


def _says(words: str) -> Phrase:
    return lambda _context: words


def _filled(words: str) -> Phrase:
    return words.format_map


def _at_least(things: str) -> Phrase:
    def says(context: Context) -> str:
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} {things}"

    return says


def _one_of(context: Context) -> str:
    """Return the choices, which pydantic quotes in its own list of them."""
    choices = QUOTED.findall(str(context.get("expected", context.get("expected_tags", ""))))
    return f"must be {choices[0]}" if len(choices) == 1 else f"must be one of {', '.join(choices)}"


def _characters(context: Context) -> str:
    edges = ", nor begin or end with a space" if r"\x00-\x20" in str(context.get("pattern")) else ""
    return f"must not hold control characters{edges}"


_ARRAY, _OBJECT, _TEXT = _says("must be an array"), _says("must be an object"), _says("must be a string")
_NUMBER, _ID = _says("must be a whole number"), _says("must be an id (UUID)")
_TIME = _says(f"must be a time with its offset from UTC, as in {A_TIME}")

PHRASES: dict[str, Phrase] = {
    "missing": _says("is required"),
    "extra_forbidden": _says("is not known here"),
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "string_too_short": _at_least("characters"),
    "string_too_long": _filled("must have at most {max_length} characters"),
    "string_pattern_mismatch": _characters,
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_parsing_size": _NUMBER,
    "int_from_float": _NUMBER,
    "greater_than_equal": _filled("must be at least {ge}"),
    "less_than_equal": _filled("must be at most {le}"),
    "bool_type": _says("must be true or false"),
    "bool_parsing": _says("must be true or false"),
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
    "enum": _one_of,
    "literal_error": _one_of,
    "tuple_type": _ARRAY,
    "list_type": _ARRAY,
    "too_short": _at_least("items"),
    "too_long": _filled("must have at most {max_length} items"),
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "union_tag_invalid": _one_of,
    "union_tag_not_found": _says("is required"),
}
"""By pydantic's name of the fault."""

OTHERWISE = _says("is not valid")


def phrase_of(fault: Mapping[str, Any], name: str) -> str:
    """Return what is wrong with the member ``name``, as the end of a sentence that begins with it."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_not_found" and _member_of(context) is None:
        return "must be a string or an object"
    if PHRASES.get(kind) is _ID and name in NOUNS:
        return f"must be {NOUNS[name]}"
    return PHRASES.get(kind, OTHERWISE)(context)


def without_echoes(faults: Sequence[Any]) -> list[Any]:
    """Return the faults but for arrays that are too short only because their items are faulty."""
    places = [tuple(fault["loc"]) for fault in faults]
    return [
        fault
        for fault, place in zip(faults, places, strict=True)
        if fault["type"] != "too_short"
        or not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def steps_of(fault: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return where a fault is; a choice by a member is a fault of that member."""
    steps: tuple[str | int, ...] = tuple(fault["loc"])
    member = _member_of(fault.get("ctx", {}))
    return steps if member is None else (*steps, member)


def _member_of(context: Context) -> str | None:
    """Return the member by which a variant is chosen, None where a function chooses."""
    quoted = QUOTED.fullmatch(str(context.get("discriminator", "")))
    return None if quoted is None else quoted[1]


def name_of(steps: Sequence[str | int]) -> str:
    """Return a place as people write it: ``jwks.keys[0].kty``."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return "".join(parts).removeprefix(".")
