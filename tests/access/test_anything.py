"""Requests made by chance, on every route: an answer that is ours, never a fault, and nothing of the rival's."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.access.endpoint_matrix import ASKS, Ask
from tests.access.owned_objects import Estate, rows_of
from tests.access.test_bad_input import TRACES

LETTERS = st.characters(codec=None, exclude_categories=())  # type: ignore[arg-type]
TEXTS = st.one_of(
    st.text(LETTERS, max_size=20),
    st.sampled_from(
        ["", "\0", "\ud800", "é", "%", "_", "\\", "'", '"', "../..", "${x}", "{{x}}", "a" * 300, "\u202e", "١"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.integers(2**62, 2**70), st.floats(), st.booleans(), st.none())
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
SCIM_PATHS = [
    "members",
    'members[value eq "x"]',
    "active",
    "urn:x",
    'emails[type eq "work"].value',
    "name.",
    "[",
    "id",
    "meta",
]
OPERATIONS = st.fixed_dictionaries(
    {}, optional={"op": st.sampled_from(["add", "Remove", "replace", "x"]) | VALUES,
                  "path": st.sampled_from(SCIM_PATHS) | VALUES, "value": VALUES}
)  # fmt: skip
FILTERS = st.sampled_from(
    [
        'userName eq "x"',
        "not (active pr)",
        'emails[value co "%"]',
        "id gt 5",
        'a eq "b" or',
        "(" * 50,
        'x[y eq "z"].w pr',
    ]
)


ENDING = ("/secret", "/tokens", "/keys/{client_kid}", "/suspend", "/deprovision", "/clients/{client}", "{connection}")
LASTING = [
    one
    for one in ASKS
    if one.status < 300
    and (one.method == "GET" or not one.path.endswith(ENDING))
    and not (one.method == "DELETE" and one.path.endswith("/Agents/{bot}"))  # whose token opens tasks
]
"""Requests that are answered when all is right, and end no credential: after them the others are still let in."""


@st.composite
def changed_members(draw: st.DrawFn, body: Any) -> Any:
    """Return a body near to one that is right, or anything else."""
    if not isinstance(body, dict) or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    changed = dict(body)
    for name in draw(st.lists(st.sampled_from([*body]), max_size=2)) if body else ():
        changed[name] = draw(VALUES)
    if "Operations" in changed and draw(st.booleans()):
        changed["Operations"] = draw(st.lists(OPERATIONS, max_size=3))
    return changed | draw(st.dictionaries(TEXTS, VALUES, max_size=2))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Ask, dict[str, Any]]:
    """Return a request near to one that is right, with some of its parts changed."""
    one = draw(st.sampled_from(LASTING))
    changed: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        names = (
            st.sampled_from(["filter", "count", "attributes", "limit", "after", "kind", "sortBy", "startIndex"]) | TEXTS
        )
        changed["query_string"] = draw(st.dictionaries(names, TEXTS | FILTERS | NUMBERS.map(str), max_size=3))
    if one.form is not None:
        changed["data"] = draw(st.dictionaries(st.sampled_from([*one.form, "scope", "authorization_details"]), TEXTS))
    elif one.method not in ("GET", "DELETE") and draw(st.integers(0, 5)):
        changed["body"] = draw(changed_members(one.body))
    if draw(st.integers(0, 15)) == 0:
        changed["segment"] = draw(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/?#"), max_size=8)
        )
    return one, changed


def encodable(value: Any) -> Any:
    """Return what Werkzeug's test client can send: half characters only survive in JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return {encodable(name): encodable(member) for name, member in value.items()}


@pytest.mark.promise(9)
def test_no_request_made_by_chance_is_a_fault_of_ours(sandbox: Estate) -> None:
    before, http = rows_of(sandbox.owner_url, "rival"), sandbox.http
    statuses: dict[int, int] = {}

    @settings(max_examples=600, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(requests())
    def ask(made: tuple[Ask, dict[str, Any]]) -> None:
        one, changed = made
        asked = one.filled(sandbox.mine)
        if "query_string" in changed:
            asked["query_string"] = encodable(changed["query_string"])
        if "data" in changed:
            asked["data"] = asked["data"] | encodable(changed["data"])
        if "body" in changed:
            asked.pop("json", None)
            asked |= {"data": json.dumps(changed["body"]), "content_type": "application/json"}
        if "segment" in changed:
            asked["path"] = f"{asked['path'].rsplit('/', 1)[0]}/{changed['segment']}"
        answer = http.open(**asked, headers=one.credential(sandbox.mine))
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code < 500 or answer.status_code == 501, (answer.request.path, changed, answer.text)
        if answer.status_code >= 400:
            assert not any(trace in answer.text for trace in TRACES), answer.text

    ask()
    assert statuses[200] > 40, statuses  # not everything is refused: what is behind the checks is reached too
    assert statuses[400] > 100, statuses
    assert statuses.get(401, 0) < 30, statuses
    assert 429 not in statuses, statuses
    assert rows_of(sandbox.owner_url, "rival") == before
