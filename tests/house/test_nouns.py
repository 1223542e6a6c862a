"""The same noun names the file on every layer: a reader who knows one file of a noun finds the others."""

import pytest

from tests.house.sources import sources

MACHINERY = {
    "documents", "endpoints", "errors", "openapi", "paging", "parsing", "requests", "responses", "routes", "sentences",
}  # fmt: skip
"""Modules of the admin API that serve every noun."""

LAYERS = ("identity/model", "identity/store", "identity/actions")

ELSEWHERE = {
    ("identity/model", "definition"): "a definition is a schema or a resource type: schema_document, resource_type",
    ("identity/store", "cutoff"): "cut-offs are written and read with the tokens that they end: tokens",
}


def singular(stem: str) -> str:
    """Return a noun without its plural ending."""
    return stem if not stem.endswith("s") or stem.endswith(("ss", "us")) else stem.removesuffix("s")


def nouns(folder: str) -> set[str]:
    """Return the nouns that name the modules of a package itself."""
    stems = (source.path.removeprefix(f"{folder}/") for source in sources(folder))
    return {singular(stem.removesuffix(".py")) for stem in stems if "/" not in stem}


ADMINISTERED = sorted(nouns("identity/admin") - {singular(stem) for stem in MACHINERY} - {"__init__"})


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("noun", ADMINISTERED)
def test_the_noun_of_an_administered_resource_names_its_file_on_every_layer(layer: str, noun: str) -> None:
    assert (noun in nouns(layer)) is not ((layer, noun) in ELSEWHERE)


def test_every_command_about_an_administered_resource_is_in_the_file_of_its_noun() -> None:
    commands = nouns("cli")
    named = {"definition": "schema"}  # a command has the name that users know
    shown = set(ADMINISTERED) - {"cutoff", "federated_subject", "outbox", "provisioning_event", "provisioning_log"}
    assert {noun for noun in shown if named.get(noun, noun) not in commands} == set()
