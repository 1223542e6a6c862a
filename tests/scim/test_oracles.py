"""Filters, paths and PATCH mean what independent readings find in them, but for what docs/divergences.md names.

``make fuzz`` asks the same of a million inputs.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim.dialects import DIALECTS
from tests.oracles.differences import (
    filter_difference,
    library_difference,
    library_path_difference,
    oracle_resource,
    patch_difference,
    patched,
    path_difference,
    same,
    unreadable,
)
from tests.oracles.making import ENTERPRISE, PATCH, Choose, a_document, a_filter, a_patch, a_path, an_operation, chooser
from tests.trials import trials

FORGIVING = sorted(name for name, dialect in DIALECTS.items() if not dialect.replaces_whole)


CHOOSING = st.binary(min_size=30, max_size=150).map(chooser)
"""Hypothesis chooses, and shrinks, by bytes."""


@pytest.mark.rfc("7644", "3.4.2.2")
@settings(max_examples=trials(600), deadline=None)
@given(CHOOSING)
def test_a_filter_means_what_the_naive_evaluator_finds(choose: Choose) -> None:
    text, documents = a_filter(choose), [a_document(choose) for _ in range(3)]
    assert filter_difference(text, documents) is None, (text, documents)


@settings(max_examples=trials(400), deadline=None)
@given(CHOOSING)
def test_a_filter_means_what_scim2_models_finds(choose: Choose) -> None:
    text, document = a_filter(choose), a_document(choose)
    assert library_difference(text, [document], [oracle_resource(document)]) is None, (text, document)


@pytest.mark.rfc("7644", "3.5.2")
@settings(max_examples=trials(600), deadline=None)
@given(CHOOSING)
def test_a_path_targets_what_both_oracles_take_it_to(choose: Choose) -> None:
    text = str(a_path(choose))
    assert path_difference(text) is None, text
    assert library_path_difference(text) is None, text


@pytest.mark.rfc("7644", "3.5.2")
@settings(max_examples=trials(1200), deadline=None)
@given(CHOOSING)
def test_a_patch_does_what_the_naive_evaluator_does(choose: Choose) -> None:
    document, body = a_document(choose), a_patch(choose)
    assert patch_difference(document, body) is None, (json.dumps(document), json.dumps(body))


@settings(max_examples=trials(600), deadline=None)
@given(CHOOSING)
def test_in_every_dialect_a_patched_document_can_be_read_back(choose: Choose) -> None:
    document, body, dialect = a_document(choose), a_patch(choose), choose(sorted(DIALECTS))
    after = patched(document, body, dialect)
    assert isinstance(after, str) or unreadable(after) is None, (dialect, document, body)


@settings(max_examples=trials(400), deadline=None)
@given(CHOOSING)
def test_what_is_done_twice_is_done_once_in_every_dialect(choose: Choose) -> None:
    document, operation, dialect = a_document(choose), an_operation(choose), choose(sorted(DIALECTS))
    once = patched(document, {"schemas": [PATCH], "Operations": [operation]}, dialect)
    twice = patched(document, {"schemas": [PATCH], "Operations": [operation, operation]}, dialect)
    # What a selection makes of a value may no longer be selected; nothing else is read in the light of what is there.
    if not any("[" in str(place) for place in [operation.get("path"), *keys_of(operation.get("value"))]):
        assert same(twice, once), (dialect, document, operation)


@settings(max_examples=trials(600), deadline=None)
@given(CHOOSING)
def test_no_dialect_takes_away_more_than_the_standard_does(choose: Choose) -> None:
    document, operation, dialect = a_document(choose), an_operation(choose), choose(FORGIVING)
    after = patched(document, {"schemas": [PATCH], "Operations": [operation]}, dialect)
    if isinstance(after, dict):
        allowed = lost_by_the_standard(document, operation)
        assert lost(document, after) - NOBODY <= allowed, (dialect, document, operation)


NOBODY = {ENTERPRISE, f"{ENTERPRISE}:manager"}
"""What Entra takes away by a manager of ``""``, which is no value by the standard."""


def lost_by_the_standard(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """Return what the standard takes away; where it refuses a whole without a path, what it does by each key alone."""
    body: dict[str, Any] = {"schemas": [PATCH], "Operations": [operation]}
    if isinstance(whole := patched(document, body, "rfc"), dict):
        return lost(document, whole)
    value = operation.get("value")
    keys = keys_of(value) if operation.get("path") is None else []
    alone = [body | {"Operations": [{**operation, "value": {key: value[key]}}]} for key in keys]
    done = [patched(document, each, "rfc") for each in alone]
    return set().union(*(lost(document, each) for each in done if isinstance(each, dict)))


def keys_of(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def lost(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Return the attributes that were and are no more."""
    found = {name for name, value in before.items() if value is not None and after.get(name) is None}
    extensions = [name for name, value in before.items() if isinstance(value, dict) and ":" in name]
    return found | {f"{urn}:{name}" for urn in extensions for name in before[urn] if name not in after.get(urn, {})}
