"""What a source may do to principals, and what it may not do to another source's."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from identity.actions.lifecycle import change_state
from identity.actions.principals import get_principal, list_principals
from identity.actions.provisioning import create_principal, find_principals
from identity.model.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, PreconditionFailed
from identity.model.lifecycle import State, Transition
from identity.model.listing import Listing
from identity.model.membership import MemberChange
from identity.model.principal import Kind
from identity.model.query import ALWAYS
from identity.model.selection import PrincipalSelection
from tests.actions.sources import (
    Source,
    administrator,
    count,
    digest,
    last_told,
    principal,
    profile,
    rows,
    state,
    told,
)
from tests.fixtures import Tenant

NAMED_ALIKE = [
    ("dana", "DANA"),
    ("straße", "STRASSE"),
    ("admin", "ａｄｍｉｎ"),  # full-width letters
    ("file", "ﬁle"),  # a ligature
    ("é", "e\u0301"),  # composed and decomposed
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),  # the final sigma
]


# --- create ----------------------------------------------------------------------------------------------------


def test_a_new_principal_is_active_has_version_1_and_is_told_once(source: Source, acme: Tenant) -> None:
    id_ = source.user("pat", external_id="7", emails=("pat@x", "p@x"))
    made = principal(acme, id_)
    assert made is not None
    assert (made.state, made.version, made.epoch, made.connection_id) == (
        State.ACTIVE,
        1,
        0,
        source.caller.connection_id,
    )
    assert told(acme, id_) == ["user.created"]
    assert count(acme, "principal_emails WHERE principal_id = :id", id=id_) == 2


def test_who_is_pushed_as_inactive_was_never_active(source: Source, acme: Tenant) -> None:
    assert state(acme, source.user("pat", active=False)) is State.DEPROVISIONED


@pytest.mark.rfc("7644", "5", "5-1")
@pytest.mark.parametrize(("first", "second"), NAMED_ALIKE)
def test_a_name_that_is_the_same_to_a_reader_is_taken(source: Source, other: Source, first: str, second: str) -> None:
    source.user(f"new-{first}")
    for who in (source, other):
        with pytest.raises(AlreadyExists) as refusal:
            who.user(f"new-{second}")
        assert refusal.value.reason == "name_taken"


def test_i_without_a_dot_is_another_letter(source: Source) -> None:
    source.user("administrator")
    source.user("admınistrator")


@pytest.mark.parametrize(
    "name",
    ["", " ", "a\u200bb", "a\x00b", "a\ud800b", "a\u202eb", "x" * 257, "ﷺ" * 20],
    ids=["empty", "blank", "zero_width", "nul", "half_a_pair", "backwards", "too_long", "folds_too_long"],
)
def test_a_name_that_nobody_could_tell_apart_is_refused(source: Source, acme: Tenant, name: str) -> None:
    before = digest(acme)
    with pytest.raises(InvalidRequest):
        source.user(name)
    assert digest(acme) == before


def test_kinds_have_names_of_their_own_and_groups_may_share_one(source: Source, acme: Tenant) -> None:
    for kind in (Kind.USER, Kind.AGENT, Kind.SERVICE_ACCOUNT):
        source.create(kind, "build")
    assert source.group("build") != source.group("build")
    assert count(acme, "principals WHERE name = 'build'") == 5


def test_an_external_id_belongs_to_a_connection_and_a_kind(source: Source, other: Source) -> None:
    source.user("one", external_id="1")
    other.user("two", external_id="1")
    source.agent("three", external_id="1")
    with pytest.raises(AlreadyExists) as refusal:
        source.user("four", external_id="1")
    assert refusal.value.reason == "external_id_taken"


def test_an_external_id_that_looks_like_an_id_of_ours_means_nothing(source: Source, acme: Tenant) -> None:
    sam = str(acme.seeded.sam)
    made = source.user("pat", external_id=sam)
    assert made != acme.seeded.sam
    found = principal(acme, acme.seeded.sam)
    assert found is not None and found.external_id == "ext-sam"


@pytest.mark.promise(5)
def test_a_source_cannot_choose_an_id(source: Source, acme: Tenant) -> None:
    made = source.user("pat", id=str(acme.seeded.sam))
    assert made != acme.seeded.sam


def test_a_window_that_ends_before_it_begins_is_refused(source: Source, acme: Tenant) -> None:
    wrong = replace(profile("bot"), valid_from=acme.now, valid_until=acme.now)
    with pytest.raises(InvalidRequest) as refusal, acme.tx() as tx:
        create_principal(tx, Kind.AGENT, wrong, caller=source.caller, now=acme.now)
    assert refusal.value.pointer == "validUntil"


def test_a_connection_of_another_tenant_cannot_be_where_a_principal_comes_from(
    source: Source, acme: Tenant, rival: Tenant
) -> None:
    with pytest.raises(IntegrityError), rival.tx() as tx:
        create_principal(tx, Kind.USER, profile("pat"), caller=source.caller, now=rival.now)


@pytest.mark.parametrize("where", ["displayName", "external_id", "emails"])
@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_text_that_no_database_can_hold_is_malformed(source: Source, acme: Tenant, where: str, text: str) -> None:
    before = digest(acme)
    value: Any = (text,) if where == "emails" else text
    with pytest.raises(InvalidRequest) as refusal:
        source.user("pat", **{where: value})
    assert refusal.value.reason == "unstorable_value"
    assert digest(acme) == before


@pytest.mark.parametrize("sign", ["😀", "ΐ", "x"])
def test_the_longest_texts_that_the_edge_lets_through_can_be_indexed(source: Source, sign: str) -> None:
    source.user("pat", external_id=_unlike(sign, 512), displayName=_unlike(sign, 256), emails=(_unlike(sign, 320),))


def _unlike(sign: str, length: int) -> str:
    """A text that does not compress."""
    dice, first = Random(7), ord(sign)
    return "".join(chr(first + dice.randrange(16)) for _ in range(length))


# --- amend -----------------------------------------------------------------------------------------------------


def test_what_changes_nothing_writes_nothing(source: Source, acme: Tenant) -> None:
    user = source.user("pat", external_id="7", emails=("pat@x",))
    group = source.group("team", user)
    agent = source.agent("bot", user)
    before = digest(acme)
    source.amend(Kind.USER, user)
    source.amend(Kind.AGENT, agent, owners=frozenset({user}))
    source.set_members(group, user)
    source.join(group, user)
    source.leave(group, acme.seeded.dana)
    source.amend(Kind.GROUP, group, members=MemberChange())
    assert digest(acme) == before


def test_a_change_gives_a_version_and_an_event_that_names_attributes_and_no_values(
    source: Source, acme: Tenant
) -> None:
    user = source.user("pat", title="canary-title")
    amended = source.amend(Kind.USER, user, title="other-canary", displayName="Pat", emails=("pat@x",))
    assert amended.principal.version == 2
    recorded = last_told(acme, user)
    assert recorded.event.type == "user.amended"
    assert recorded.event.detail == {"changed": ["displayName", "emails", "title"]}
    assert count(acme, "events WHERE events::text LIKE '%canary%'") == 0


def test_emails_are_written_anew_when_they_change_and_left_alone_when_not(source: Source, acme: Tenant) -> None:
    user = source.user("pat", emails=("a@x", "b@x"))
    query = "SELECT position, value_key, xmin::text FROM principal_emails WHERE principal_id = :id ORDER BY 1"
    before = rows(acme, query, id=user)
    source.amend(Kind.USER, user, displayName="Pat")
    assert rows(acme, query, id=user) == before
    source.amend(Kind.USER, user, emails=("C@X",))
    assert [tuple(row)[:2] for row in rows(acme, query, id=user)] == [(0, "c@x")]


def test_a_name_can_be_changed_to_itself_in_other_letters_and_not_to_one_that_is_taken(
    source: Source, acme: Tenant
) -> None:
    user = source.user("pat")
    assert source.amend(Kind.USER, user, name="PAT").principal.name == "PAT"
    before = digest(acme)
    with pytest.raises(AlreadyExists):
        source.amend(Kind.USER, user, name="Sam")
    assert digest(acme) == before


def test_an_old_version_is_stale_and_the_present_one_is_not(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    source.amend(Kind.USER, user, displayName="Pat", expected_version=1)
    before = digest(acme)
    with pytest.raises(PreconditionFailed):
        source.amend(Kind.USER, user, displayName="Patricia", expected_version=1)
    with pytest.raises(PreconditionFailed):
        source.delete(Kind.USER, user, expected_version=1)
    assert digest(acme) == before
    source.delete(Kind.USER, user, expected_version=2)


def test_a_principal_of_another_kind_is_not_there(source: Source) -> None:
    user = source.user("pat")
    with pytest.raises(NotFound):
        source.read(Kind.AGENT, user)
    with pytest.raises(NotFound):
        source.amend(Kind.GROUP, user)
    with pytest.raises(NotFound):
        source.delete(Kind.SERVICE_ACCOUNT, user)


def test_a_user_in_more_groups_than_are_shown_can_still_be_read_and_deprovisioned(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    rows(
        acme,
        "WITH made AS (INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at,"
        " updated_at) SELECT current_setting('app.tenant')::uuid, gen_random_uuid(), 'group', 'active', 'g', 'g',"
        " '{}', now(), now() FROM generate_series(1, 1001) RETURNING id)"
        f" INSERT INTO group_members SELECT current_setting('app.tenant')::uuid, id, '{user}', now() FROM made",
    )
    assert len(source.read(Kind.USER, user).groups) == 1_000
    assert source.amend(Kind.USER, user, active=False).principal.state is State.DEPROVISIONED


# --- provenance ------------------------------------------------------------------------------------------------


def _change_state(other: Source, id_: UUID) -> None:
    with other.tenant.tx() as tx:
        change_state(tx, id_, Transition.SUSPEND, reason="test", caller=other.caller, now=other.tenant.now)


FOREIGN: dict[str, Callable[[Source, UUID, UUID, UUID], object]] = {
    "rename": lambda other, user, group, agent: other.amend(Kind.USER, user, name="taken over"),
    "say nothing new": lambda other, user, group, agent: other.amend(Kind.USER, user),
    "deprovision": lambda other, user, group, agent: other.amend(Kind.USER, user, active=False),
    "delete a user": lambda other, user, group, agent: other.delete(Kind.USER, user),
    "delete a group": lambda other, user, group, agent: other.delete(Kind.GROUP, group),
    "join a group": lambda other, user, group, agent: other.join(group, user),
    "leave a group": lambda other, user, group, agent: other.leave(group, user),
    "set the members": lambda other, user, group, agent: other.set_members(group, user),
    "own an agent": lambda other, user, group, agent: other.amend(Kind.AGENT, agent, owners=frozenset({user})),
    "change the state": lambda other, user, group, agent: _change_state(other, user),
}


@pytest.mark.parametrize("verb", FOREIGN)
@pytest.mark.parametrize("by", ["another source", "an administrator"])
def test_what_another_made_a_source_may_read_and_not_change(
    source: Source, other: Source, acme: Tenant, verb: str, by: str
) -> None:
    maker = source if by == "another source" else administrator(acme)
    user = maker.user("pat")
    group, agent = maker.group("team", user), maker.agent("bot", acme.seeded.dana)
    before = digest(acme)
    assert other.read(Kind.USER, user).principal.id == user
    with pytest.raises(NotAllowed) as refusal:
        FOREIGN[verb](other, user, group, agent)
    assert refusal.value.reason == "foreign_provenance"
    assert digest(acme) == before


def test_a_group_of_one_source_may_name_principals_of_another(source: Source, other: Source, acme: Tenant) -> None:
    user = source.user("pat")
    version = 1
    group = other.group("team", user)
    assert other.members(group) == {user}
    found = principal(acme, user)
    assert found is not None and found.version == version


def test_an_administrator_may_change_what_a_source_made(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    assert administrator(acme).amend(Kind.USER, user, displayName="Pat").principal.version == 2


# --- delete ----------------------------------------------------------------------------------------------------


@pytest.mark.promise(5)
def test_a_deleted_principal_is_nowhere(source: Source, acme: Tenant) -> None:
    gone, stays = source.user("gone", external_id="7"), source.user("stays")
    team, agent = source.group("team", gone, stays), source.agent("bot", gone, stays)
    source.delete(Kind.USER, gone)
    assert principal(acme, gone) is None
    assert source.members(team) == {stays}
    assert {owner.id for owner in source.read(Kind.AGENT, agent).owners} == {stays}
    with acme.tx() as tx:
        listed = list_principals(tx, PrincipalSelection(), after=None, limit=1_000)
        everybody = Listing(dict.fromkeys(Kind, ALWAYS), limit=1_000)
        found = find_principals(tx, everybody, caller=source.caller)
        assert gone not in {each.id for each in listed}
        assert str(gone) not in {each.id for each in found.resources}
        assert found.total == len(found.resources)
        with pytest.raises(NotFound):
            get_principal(tx, gone)


@pytest.mark.promise(5)
@pytest.mark.parametrize("verb", ["read", "amend", "delete", "change state", "join", "own"])
def test_nothing_can_be_done_with_a_deleted_principal(source: Source, acme: Tenant, verb: str) -> None:
    gone = source.user("gone")
    team, agent = source.group("team"), source.agent("bot", acme.seeded.dana)
    source.delete(Kind.USER, gone)
    before = digest(acme)
    verbs: dict[str, Callable[[], object]] = {
        "read": lambda: source.read(Kind.USER, gone),
        "amend": lambda: source.amend(Kind.USER, gone, active=True),
        "delete": lambda: source.delete(Kind.USER, gone),
        "change state": lambda: _change_state(source, gone),
        "join": lambda: source.join(team, gone),
        "own": lambda: source.amend(Kind.AGENT, agent, owners=frozenset({gone})),
    }
    with pytest.raises((NotFound, InvalidRequest)):
        verbs[verb]()
    assert digest(acme) == before


@pytest.mark.promise(5)
def test_who_comes_back_under_a_deleted_name_is_somebody_else(source: Source, acme: Tenant) -> None:
    group = source.group("team")
    first = source.user("pat", external_id="7")
    source.join(group, first)
    source.delete(Kind.USER, first)
    second = source.user("PAT", external_id="7")
    assert second != first
    assert source.members(group) == set()
    assert told(acme, first) == ["user.created", "user.deleted"]
    assert told(acme, second) == ["user.created"]
    assert state(acme, first) is State.DELETED


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_deleted_from_every_state(source: Source, acme: Tenant, kind: Kind) -> None:
    for number, verb in enumerate((None, Transition.SUSPEND, Transition.DEPROVISION)):
        id_ = source.create(kind, f"x{number}")
        if verb:
            acme.befall(id_, verb)
        source.delete(kind, id_)
        assert state(acme, id_) is State.DELETED


def test_a_group_that_is_deleted_leaves_every_group_and_its_members_stay_principals(
    source: Source, acme: Tenant
) -> None:
    user = source.user("pat")
    inner = source.group("inner", user)
    outer = source.group("outer", inner)
    source.delete(Kind.GROUP, inner)
    assert source.members(outer) == set()
    assert source.read(Kind.USER, user).groups == ()
