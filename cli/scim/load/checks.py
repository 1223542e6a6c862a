"""Checks of a resource against its schemas: unknown attributes, and the faults of a dry run."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.problems import printable
from cli.scim.load.lines import Line, NotLoaded, not_loaded
from cli.scim.load.schemas import EVERY_VALUE, Attribute, Attributes, Resource
from scim.errors import error_body

NAMES_MAX = 100  # different unknown names that are counted apart
NAME_CHARACTERS_MAX = 120
OTHERS = "(others)"

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "reference": (str,),
    "datetime": (str,),
    "binary": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "decimal": (int, float),
    "complex": (dict,),
}


@dataclass(slots=True)
class UnknownNames:
    """Counts, line by line, the attributes that no schema knows; ``warn`` hears of each name once."""

    resource: Resource
    warn: Callable[[str], None]
    counts: Counter[str] = field(default_factory=Counter)

    def watch(self, lines: Iterable[Line | NotLoaded]) -> Iterator[Line | NotLoaded]:
        """Pass lines on, and check each."""
        for line in lines:
            if isinstance(line, Line):
                for name in sorted(set(unknown_names(line.resource, self.resource))):
                    self._count(name, line.number)
            yield line

    def _count(self, name: str, number: int) -> None:
        shown = printable(name[:NAME_CHARACTERS_MAX])
        if shown not in self.counts and len(self.counts) >= NAMES_MAX:
            shown = OTHERS
        if shown not in self.counts:
            self.warn(f"line {number}: no schema of the server knows {shown}; the server may drop it without a word")
        self.counts[shown] += 1


def unknown_names(document: Mapping[str, Any], resource: Resource) -> Iterator[str]:
    """Yield each attribute of a resource that neither its schema nor an extension has."""
    for name, value in document.items():
        extension, attribute = resource.extensions.get(name.lower()), resource.attribute(name)
        if extension is not None:
            if isinstance(value, dict) and extension.attributes:
                yield from (f"{name}:{each}" for each in _unknown_in(value, extension.attributes))
        elif attribute is not None:
            yield from _unknown_parts(value, attribute)
        elif not resource.extending(name):  # servers read attributes of an extension without its URN, too
            yield name


def _unknown_in(document: Mapping[str, Any], attributes: Attributes) -> Iterator[str]:
    for name, value in document.items():
        attribute = attributes.get(name.lower())
        if attribute is None:
            yield name
        else:
            yield from _unknown_parts(value, attribute)


def _unknown_parts(value: Any, attribute: Attribute) -> Iterator[str]:
    if not attribute.parts:
        return
    known = {*attribute.parts, *(EVERY_VALUE if attribute.is_array else ())}
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield from (f"{attribute.name}.{part}" for part in one if part.lower() not in known)


# --- a dry run -------------------------------------------------------------------------------------------------


def checked(lines: Iterable[Line | NotLoaded], resource: Resource | None) -> Iterator[Line | NotLoaded]:
    """Pass lines on, those that contradict the schemas as refused."""
    for line in lines:
        found = list(faults(line.resource, resource)) if isinstance(line, Line) and resource else []
        if isinstance(line, Line) and found:
            yield not_loaded(line, 400, error_body(400, "; ".join(found), "invalidValue"))
        else:
            yield line


def faults(document: Mapping[str, Any], resource: Resource) -> Iterator[str]:
    """Yield what contradicts the schemas: what is required and not there, and values of another type."""
    given = {name.lower(): value for name, value in document.items()}
    for key, attribute in resource.attributes.items():
        if attribute.is_required and not attribute.is_read_only and given.get(key) in (None, "", []):
            yield f"{attribute.name} is required"
    for name, value in document.items():
        extension = resource.extensions.get(name.lower())
        if extension is not None:
            yield from _faults_in(value, extension.attributes, f"{extension.urn}:")
        elif (attribute_ := resource.attribute(name)) is not None:
            yield from _faults_of(value, attribute_, attribute_.name)


def _faults_in(value: Any, attributes: Attributes, before: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{before.rstrip(':.')} must be an object"
        return
    for name, inner in value.items():
        if (attribute := attributes.get(name.lower())) is not None:
            yield from _faults_of(inner, attribute, before + attribute.name)


def _faults_of(value: Any, attribute: Attribute, path: str) -> Iterator[str]:
    """Yield the faults of a value. One value in place of an array is none, as at most servers; the reverse is one."""
    if value is None:
        return
    if isinstance(value, list) and not attribute.is_array:
        yield f"{path} takes one value"
        return
    for one in value if isinstance(value, list) else [value]:
        wanted = TYPES.get(attribute.type.lower())
        if wanted is None or not attribute.type:
            continue
        if not isinstance(one, wanted) or (isinstance(one, bool) and bool not in wanted):
            yield f"{path} must be of type {attribute.type}"
        elif isinstance(one, dict) and attribute.parts:
            yield from _faults_in(one, attribute.parts, f"{path}.")
