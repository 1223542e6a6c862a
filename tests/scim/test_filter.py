"""Filters: the grammar of RFC 7644 §3.4.2.2, resolved and typed; nothing dropped, nothing fatal."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, ScimFilter
from scim2_models import User as OracleUser
from scim2_models.exceptions import SCIMException

from identity.model.errors import InvalidRequest
from identity.model.query import And, AnyElement, Comparison, Condition, Not, Operator, Or, Presence, matches
from scim.filter.grammar import parse
from scim.filter.resolve import parse_filter
from scim.limits import FILTER_CHARACTERS_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX
from scim.schema.resource_types import resource_types
from tests.oracles.differences import user_type
from tests.oracles.making import GAMES
from tests.scim.sources import ENTERPRISE, USER
from tests.trials import trials

USERS = resource_types()["Users"]

FIGURE_2 = [
    'userName eq "bjensen"',
    'name.familyName co "O\'Malley"',
    'userName sw "J"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    "title pr",
    'meta.lastModified gt "2011-05-13T04:42:34Z"',
    'meta.lastModified ge "2011-05-13T04:42:34Z"',
    'meta.lastModified lt "2011-05-13T04:42:34Z"',
    'meta.lastModified le "2011-05-13T04:42:34Z"',
    'title pr and userType eq "Employee"',
    'title pr or userType eq "Intern"',
    'schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
    'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
    'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
    'userType eq "Employee" and (emails.type eq "work")',
    'userType eq "Employee" and emails[type eq "work" and value co "@example.com"]',
    'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
]


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-10")
@pytest.mark.parametrize("text", FIGURE_2)
def test_every_example_of_figure_2_is_a_filter(text: str) -> None:
    assert parse_filter(text, USERS)


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-11")
def test_and_binds_tighter_than_or_and_not_tighter_than_and() -> None:
    match parse_filter('title eq "1" or title eq "2" and title eq "3"', USERS):
        case Or((Comparison(value="1"), And((Comparison(value="2"), Comparison(value="3"))))):
            pass
        case other:
            raise AssertionError(other)
    assert isinstance(parse_filter("not (title pr) and active eq true", USERS), And)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"a\\"', "a\\"),
        (r'"\u00e9"', "é"),
        ('"true"', "true"),
        ('"null"', "null"),
        ('"日本"', "日本"),
        ('"%_"', "%_"),
    ],
)
def test_a_string_literal_is_a_json_string(literal: str, value: str) -> None:
    found = parse_filter(f"title eq {literal}", USERS)
    assert isinstance(found, Comparison)
    assert found.value == value


@pytest.mark.parametrize("text", ["0", "42", "-1", "1.5", "1e3", "1500"])
def test_a_number_is_a_json_number(text: str) -> None:
    assert parse(f"x eq {text}", "invalidFilter").expr.comp_value.value == Decimal(text)


@pytest.mark.parametrize("name", ["trueName", "nullable", "falsey", "andy", "orange", "nothing", "prize"])
def test_a_name_may_begin_like_a_word_of_the_grammar(name: str) -> None:
    assert parse(f'{name} eq "x"', "invalidFilter").expr.attr_path.attr_name == name


@pytest.mark.parametrize("text", ["active eq true", "active eq True", 'active eq "True"', 'ACTIVE Eq "true"'])
def test_a_boolean_is_read_as_entra_writes_it(text: str) -> None:
    assert matches(parse_filter(text, USERS), {"active": True})
    assert not matches(parse_filter(text, USERS), {"active": False})


def test_null_is_the_absence_of_a_value() -> None:
    assert isinstance(parse_filter("title eq null", USERS), Not)
    assert isinstance(parse_filter("title ne null", USERS), Presence)


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-8")
def test_conditions_in_one_value_path_are_about_one_value() -> None:
    document = {"emails": [{"type": "work", "value": "a@x"}, {"type": "home", "value": "b@x"}]}
    assert matches(parse_filter('emails.type eq "work" and emails.value eq "b@x"', USERS), document)
    assert not matches(parse_filter('emails[type eq "work" and value eq "b@x"]', USERS), document)
    assert not matches(parse_filter('emails[type eq "work"].value eq "b@x"', USERS), document)


def test_a_part_with_several_values_satisfies_by_any_of_them() -> None:
    plays = [{"game": "go", "tags": ["a", "b"]}, {"game": "chess"}]
    for text in (f'{GAMES}:plays.tags eq "b"', f'{GAMES}:plays[tags eq "B" and game eq "go"]'):
        assert matches(parse_filter(text, user_type()), {GAMES: {"plays": plays}}), text
        assert not matches(parse_filter(text, user_type()), {GAMES: {"plays": plays[1:]}}), text


@pytest.mark.parametrize("text", [f'schemas[value eq "{ENTERPRISE}"]', f'schemas eq "{ENTERPRISE}"'])
def test_a_schema_is_found_in_brackets_too(text: str) -> None:
    assert matches(parse_filter(text, USERS), {ENTERPRISE: {"department": "x"}})
    assert not matches(parse_filter(text, USERS), {"title": "x"})


def test_everybody_has_a_schema() -> None:
    for text, expected in (("schemas pr", True), ("schemas ne null", True), ("schemas eq null", False)):
        assert matches(parse_filter(text, USERS), {"title": "x"}) is expected, text


def test_names_and_urns_are_compared_without_case() -> None:
    assert parse_filter('USERNAME eq "x"', USERS) == parse_filter('userName eq "x"', USERS)
    qualified = f'{ENTERPRISE.upper()}:COSTCENTER eq "x"'
    assert parse_filter(qualified, USERS) == parse_filter(f'{ENTERPRISE}:costCenter eq "x"', USERS)


@pytest.mark.requirement("S8")
@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-2", "3.4.2.2-3", "3.4.2.2-9", "3.4.2.2-10", "3.4.2.2-12")
@pytest.mark.parametrize(
    "text",
    [
        "", " ", "userName", 'userName eq', 'eq "x"', 'userName regex "x"', 'userName eq "x" and', '(userName pr',
        'userName eq "x', 'userName eq x', "userName eq 'x'", 'userName eq 01', 'userName eq "\\x"', 'userName eq "\n"',
        'userName eq "\x00"', 'userName eq "\\u0000"', 'userName eq "\\ud800"',
        'nope eq "x"', 'userName eq "x" and nope eq "y"', 'not (nope eq "y")', 'emails.nope eq "x"',
        'emails[nope eq "x"]', "urn:nope:2.0:User:userName pr", f"{USER}:nope pr", "password pr", "members pr",
        "userName.value pr", "a.b.c pr",
        "userName eq 5", 'active gt true', "active co \"t\"", 'active eq "yes"', 'meta.created co "2011"',
        'meta.created gt "yesterday"', 'x509Certificates gt "a"', 'name eq "x"', "title gt null",
        'emails[type eq "work"][value pr] pr', 'emails[emails[type pr].value pr]', 'emails[type eq "work"] eq "x"',
        'emails.value[type pr]', 'name[givenName pr]', 'emails[type eq "work"] pr', 'meta.location eq "x"',
        f'{ENTERPRISE} eq "x"', "[a pr]", "emails[]", "emails[type pr", '"',
        "name .givenName pr", f"{USER}: title pr",
        'meta.created gt "2011-W05-1T00:00:00"', 'meta.created gt "20110513T044234Z"',
        "\\", "((((", "not", "not not (title pr)",
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_and_never_means_everything(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(text, USERS)
    assert refused.value.reason == "invalidFilter"


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (" or ".join(["title pr"] * FILTER_TERMS_MAX), " or ".join(["title pr"] * (FILTER_TERMS_MAX + 1))),
        (
            "(" * FILTER_DEPTH_MAX + "title pr" + ")" * FILTER_DEPTH_MAX,
            "(" * (FILTER_DEPTH_MAX + 1) + "title pr" + ")" * (FILTER_DEPTH_MAX + 1),
        ),
        (
            'title eq "'.ljust(FILTER_CHARACTERS_MAX - 1, "x") + '"',
            'title eq "'.ljust(FILTER_CHARACTERS_MAX, "x") + '"',
        ),
    ],
    ids=["terms", "depth", "characters"],
)
def test_a_limit_holds_at_its_last_value_and_not_beyond(within: str, beyond: str) -> None:
    parse_filter(within, USERS)
    with pytest.raises(InvalidRequest, match="at most"):
        parse_filter(beyond, USERS)


@settings(max_examples=trials(1500), deadline=None)
@given(st.text(st.sampled_from('aeilmnotrspvu. "\\[]()0123456789:-eEqQ\x00é%_$'), max_size=60))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    try:
        parse_filter(text, USERS)
    except InvalidRequest as refused:
        assert refused.reason == "invalidFilter"


# --- the same meaning as an independent implementation ---

WORDS = st.sampled_from(["a", "A", "ab", "b", "work", "home", "Employee", "x@y.example", "%", "_", ""])
PEOPLE = st.fixed_dictionaries(
    {"userName": st.sampled_from(["bjensen", "BJensen", "a", "ab"])},
    optional={
        "title": WORDS.filter(bool),
        "userType": WORDS.filter(bool),
        "active": st.booleans(),
        "name": st.fixed_dictionaries({"familyName": WORDS.filter(bool)}),
        "roles": st.lists(
            st.fixed_dictionaries({"value": WORDS.filter(bool)}, optional={"type": WORDS.filter(bool)}),
            min_size=1,
            max_size=3,
        ),
        ENTERPRISE: st.fixed_dictionaries({"department": WORDS.filter(bool)}),
    },
)
TEXT_PATHS = st.sampled_from(
    [
        "userName",
        "title",
        "userType",
        "name.familyName",
        "roles.value",
        "roles.type",
        "roles",
        f"{ENTERPRISE}:department",
    ]
)
TEXT_OPERATORS = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
LEAVES = st.one_of(
    st.builds(lambda path, op, word: f"{path} {op} {json.dumps(word)}", TEXT_PATHS, TEXT_OPERATORS, WORDS),
    st.builds(lambda path: f"{path} pr", TEXT_PATHS),
    st.sampled_from(["active eq true", "active ne true", "active eq false", "active pr", "name pr"]),
    st.builds(
        lambda kind, op, word: f"roles[type eq {json.dumps(kind)} and value {op} {json.dumps(word)}]",
        WORDS,
        TEXT_OPERATORS,
        WORDS,
    ),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda left, right: f"{left} and {right}", inner, inner),
        st.builds(lambda left, right: f"{left} or {right}", inner, inner),
        st.builds(lambda term: f"not ({term})", inner),
        st.builds(lambda term: f"({term})", inner),
    ),
    max_leaves=6,
)


@pytest.mark.requirement("S8")
@settings(max_examples=trials(1500), deadline=None)
@given(text=FILTERS, person=PEOPLE)
@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-11")
def test_a_filter_means_what_scim2_models_takes_it_to_mean(text: str, person: dict[str, Any]) -> None:
    oracle = OracleUser[EnterpriseUser].model_validate({"schemas": [USER, ENTERPRISE], **person})
    try:
        expected = ScimFilter[OracleUser[EnterpriseUser]](text).match(oracle)
    except SCIMException:
        return
    assert matches(parse_filter(text, USERS), person) is expected


def test_the_conditions_of_the_model_have_no_other_operators() -> None:
    assert {operator.value for operator in Operator} == {"eq", "co", "sw", "ew", "gt", "ge", "lt", "le"}
    assert Condition.__args__ == (Comparison, Presence, AnyElement, And, Or, Not)  # type: ignore[attr-defined]
