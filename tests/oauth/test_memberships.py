"""Leaving a group ends for good the tokens that rest on being in it, however deep; nothing else ends them."""

from collections.abc import Callable
from uuid import UUID

import pytest

from identity.model.lifecycle import Transition
from identity.model.nesting import NESTING_MAX
from tests.fixtures import Tenant, TwoTenants, let_act
from tests.oauth.directories import CORE, PATCH, Directory, directory_of, leave_and_come_back, values, without
from tests.oauth.provisioners import BULK, provisioner
from tests.oauth.trading import LEDGER, trade_in

pytestmark = pytest.mark.promise(1)

DEEP = 4  # groups, each in the one before


@pytest.fixture
def directory(acme: Tenant) -> Directory:
    return directory_of(acme)


def in_a_bulk(directory: Directory, group: str) -> None:
    """Leave and come back in one Bulk: each of its operations is a request of its own."""
    bodies = [without(directory.eve), {"op": "add", "path": "members", "value": values(directory.eve)}]
    operations = [{"method": "PATCH", "path": f"/Groups/{group}", "data": {"schemas": [PATCH], "Operations": [body]}}
                  for body in bodies]  # fmt: skip
    done = directory.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}).json()
    assert {operation["status"] for operation in done["Operations"]} <= {"200", "204"}


LEAVES: dict[str, Callable[[Directory, str], None]] = {
    "PATCH remove by a filter": lambda it, group: it.leave(group, it.eve),
    "PATCH remove by value": lambda it, group: it.patch(
        group, {"op": "remove", "path": "members", "value": values(it.eve)}),
    "PATCH remove of all": lambda it, group: it.patch(group, {"op": "remove", "path": "members"}),
    "PATCH replace by another": lambda it, group: it.patch(
        group, {"op": "replace", "path": "members", "value": values(it.fred)}),
    "PATCH that adds and removes": lambda it, group: it.patch(
        group, {"op": "add", "path": "members", "value": values(it.eve)}, without(it.eve)),
    "PUT with another": lambda it, group: it.put(group, "Team", it.fred),
    "PUT with none": lambda it, group: it.put(group, "Team"),
}  # fmt: skip


@pytest.mark.parametrize("how", LEAVES)
def test_a_token_stays_dead_when_its_person_leaves_the_group_and_comes_back(directory: Directory, how: str) -> None:
    team = directory.group("Team", directory.eve, directory.fred)
    directory.permit(team)
    directory.permit(team, "ocr-bot")
    token = directory.token()
    assert directory.is_live(token)
    LEAVES[how](directory, team)
    assert not directory.is_live(token)
    directory.join(team, directory.eve)
    assert not directory.is_live(token)
    assert directory.tenant.exchange("ocr-bot", token).status_code == 400
    assert directory.last_reason() == "subject_token_membership_ended"
    assert directory.is_live(directory.token()), "a new one can be had at once"


def test_two_operations_of_a_bulk_that_remove_and_add_are_a_leaving(directory: Directory) -> None:
    team = directory.group("Team", directory.eve)
    directory.permit(team)
    token = directory.token()
    in_a_bulk(directory, team)
    assert not directory.is_live(token)
    assert directory.is_live(directory.token())


STAYS: dict[str, Callable[[Directory, str], object]] = {
    "PUT with the same members": lambda it, group: it.put(group, "Team", it.eve, it.fred),
    "PUT with fewer others": lambda it, group: it.put(group, "Team", it.eve),
    "PUT with another name": lambda it, group: it.put(group, "Crew", it.fred, it.eve),
    "PUT without members": lambda it, group: it.send(
        "PUT", f"/Groups/{group}", {"schemas": [f"{CORE}Group"], "displayName": "Crew"}),
    "PATCH replace by the same": lambda it, group: it.patch(
        group, {"op": "replace", "path": "members", "value": values(it.eve)}),
    "PATCH add once more": lambda it, group: it.join(group, it.eve),
    "remove and add in one PATCH": lambda it, group: it.patch(
        group, without(it.eve), {"op": "add", "path": "members", "value": values(it.eve)}),
    "remove of all and add in one PATCH": lambda it, group: it.patch(
        group, {"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": values(it.eve)}),
    "another member leaves": lambda it, group: it.leave(group, it.fred),
    "somebody leaves who is not there": lambda it, group: it.leave(group, str(it.tenant.seeded.sam)),
}  # fmt: skip


@pytest.mark.parametrize("how", STAYS)
def test_a_request_after_which_the_person_is_a_member_as_before_ends_nothing(directory: Directory, how: str) -> None:
    team = directory.group("Team", directory.eve, directory.fred)
    directory.permit(team)
    token = directory.token()
    STAYS[how](directory, team)
    assert directory.is_live(token)


# --- groups within groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", range(DEEP))
def test_whichever_membership_on_the_way_is_lost_and_had_again_the_token_stays_dead(
    directory: Directory, level: int
) -> None:
    groups = directory.nest(DEEP)
    directory.permit(groups[0])
    token = directory.token()
    assert directory.is_live(token)
    member = [*groups, directory.eve][level + 1]
    directory.leave(groups[level], member)
    assert not directory.is_live(token)
    directory.join(groups[level], member)
    assert not directory.is_live(token)
    assert directory.is_live(directory.token())


@pytest.mark.parametrize("level", range(DEEP))
def test_whichever_group_on_the_way_is_suspended_and_reactivated_the_token_stays_dead(
    directory: Directory, two_tenants: TwoTenants, level: int
) -> None:
    groups = directory.nest(DEEP)
    directory.permit(groups[0])
    token = directory.token()
    directory.tenant.befall(UUID(groups[level]), Transition.SUSPEND)
    assert not directory.is_live(token)
    directory.tenant.befall(UUID(groups[level]), Transition.REACTIVATE)
    two_tenants.clock.forward(2)
    assert not directory.is_live(token)
    assert directory.is_live(directory.token())


@pytest.mark.parametrize("level", range(1, DEEP))
def test_a_deleted_group_on_the_way_is_not_replaced_by_another_of_its_name(directory: Directory, level: int) -> None:
    groups = directory.nest(DEEP)
    directory.permit(groups[0])
    token = directory.token()
    directory.send("DELETE", f"/Groups/{groups[level]}")
    assert not directory.is_live(token)
    below = [*groups, directory.eve][level + 1]
    directory.join(groups[level - 1], directory.group(f"Level {level}", below))
    assert not directory.is_live(token)
    assert directory.is_live(directory.token())


def test_a_token_rests_on_every_membership_as_deep_as_groups_may_nest(directory: Directory) -> None:
    groups = directory.nest(NESTING_MAX + 1)
    directory.permit(groups[0])
    token = directory.token()
    [(memberships,)] = directory.tenant.sql("SELECT memberships FROM tokens WHERE tenant_id = :tenant")
    assert {(each["g"], each["m"]) for each in memberships} == set(
        zip(groups, [*groups[1:], directory.eve], strict=True)
    )
    assert directory.is_live(token)
    directory.leave(groups[-1], directory.eve)
    directory.join(groups[-1], directory.eve)
    assert not directory.is_live(token)


def test_with_its_way_lost_a_token_ends_and_a_new_one_rests_on_another_way(directory: Directory) -> None:
    within = directory.group("Within", directory.eve)
    team = directory.group("Team", within, directory.eve)
    directory.permit(team)
    token = directory.token()
    directory.leave(within, directory.eve)
    assert directory.is_live(token), "it rests on the membership in the group itself"
    directory.join(within, directory.eve)
    directory.leave(team, directory.eve)
    assert not directory.is_live(token)
    other = directory.token()
    directory.join(team, directory.eve)
    assert (directory.is_live(token), directory.is_live(other)) == (False, True)
    directory.leave(team, within)
    assert not directory.is_live(other)


# --- chains ----------------------------------------------------------------------------------------------------


def test_what_was_handed_on_or_narrowed_rests_on_the_memberships_of_every_delegation_before(
    directory: Directory,
) -> None:
    """The first agent acts by the group; the second by a delegation for the person."""
    team = directory.group("Team", directory.eve)
    directory.permit(team)
    directory.permit_for_eve("ocr-bot")
    first = directory.token()
    second = directory.token("ocr-bot", first)
    third = directory.token("ocr-bot", second, scope="invoices.read")
    own = directory.token("ocr-bot")
    directory.leave(team, directory.eve)
    directory.join(team, directory.eve)
    assert [directory.is_live(token) for token in (first, second, third)] == [False] * 3
    assert directory.is_live(own), "it never rested on the group"


def test_the_membership_of_a_later_delegation_ends_what_came_by_it_and_nothing_before(directory: Directory) -> None:
    team = directory.group("Team", directory.eve)
    directory.permit_for_eve("invoice-bot")
    directory.permit(team, "ocr-bot")
    first = directory.token()
    second = directory.token("ocr-bot", first)
    directory.leave(team, directory.eve)
    directory.join(team, directory.eve)
    assert (directory.is_live(first), directory.is_live(second)) == (True, False)
    assert directory.is_live(directory.token("ocr-bot", first))


def test_what_crossed_to_the_next_service_rests_on_the_memberships_from_before(acme: Tenant) -> None:
    trade = trade_in(acme)
    trade.administer("DELETE", f"/delegations/{trade.delegation['id']}")
    with acme.tx() as tx:
        let_act(tx, trade.orders.client.id, None, subject_id=acme.seeded.sam, resource=LEDGER,
                scopes=("look", "write"), authorization_details=())  # fmt: skip
    first = trade.first()
    second = trade.crossed(first)
    assert acme.is_live(second, trade.ledger.client)
    leave_and_come_back(acme)
    assert not acme.is_live(first, trade.orders.client)
    assert not acme.is_live(second, trade.ledger.client)
    assert acme.is_live(trade.crossed(trade.first()), trade.ledger.client)


# --- what ends nothing -----------------------------------------------------------------------------------------


def test_leaving_other_groups_of_this_and_of_another_source_ends_nothing(directory: Directory) -> None:
    team, other = directory.group("Team", directory.eve), directory.group("Other", directory.eve)
    directory.permit(team)
    token = directory.token()
    source = provisioner(directory.tenant)
    body = {"schemas": [f"{CORE}Group"], "displayName": "Elsewhere", "members": values(directory.eve, team)}
    elsewhere = source.ask(source.own_token, "POST", "/Groups", body).json()["id"]
    directory.leave(other, directory.eve)
    for member in (directory.eve, team):
        operation = {"schemas": [PATCH], "Operations": [without(member)]}
        assert source.ask(source.own_token, "PATCH", f"/Groups/{elsewhere}", operation).status_code in (200, 204)
    assert source.ask(source.own_token, "DELETE", f"/Groups/{elsewhere}").status_code == 204
    directory.send("DELETE", f"/Groups/{other}")
    assert directory.is_live(token)


@pytest.mark.promise(4)
def test_leaving_a_group_ends_nothing_of_its_twin_in_another_tenant(two_tenants: TwoTenants) -> None:
    ours, theirs = two_tenants.acme.task_token(), two_tenants.rival.task_token()
    leave_and_come_back(two_tenants.acme)
    assert (two_tenants.acme.is_live(ours), two_tenants.rival.is_live(theirs)) == (False, True)


def test_a_token_that_rests_on_no_group_says_so(directory: Directory) -> None:
    directory.permit_for_eve("invoice-bot")
    directory.token()
    directory.tenant.own_token("ocr-bot")
    assert directory.tenant.sql("SELECT memberships FROM tokens WHERE tenant_id = :tenant") == [([],), ([],)]


def test_two_delegations_for_one_group_rest_on_its_membership_once(acme: Tenant) -> None:
    acme.chain("invoice-bot", "ocr-bot", "archive-bot")
    rows = acme.sql("SELECT memberships FROM tokens WHERE tenant_id = :tenant")
    assert [len(memberships) for (memberships,) in rows] == [1, 1, 1]
