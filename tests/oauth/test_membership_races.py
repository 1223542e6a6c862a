"""Leaving a group while a token is being issued, and tokens and memberships from before memberships had ids."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import UUID

import psycopg
import pytest

from dev.postgres import SUPERUSER
from identity.model.lifecycle import Transition
from identity.store.memberships import members_add, members_remove
from tests.conftest import Server
from tests.fixtures import Tenant, TwoTenants, access_token
from tests.oauth.directories import Directory, directory_of, leave_and_come_back
from tests.oauth.test_cut_is_the_last_word import held_before_commit, waiting
from tests.oauth.test_race import between_reading_and_writing

pytestmark = pytest.mark.promise(1)


@pytest.fixture
def directory(acme: Tenant) -> Directory:
    return directory_of(acme)


# --- from before ------------------------------------------------------------------------------------------------

FORGOTTEN = "UPDATE tokens SET memberships = NULL WHERE tenant_id = :tenant"


def test_a_token_that_kept_no_memberships_is_dead_while_its_person_is_not_in_the_group(acme: Tenant) -> None:
    token = acme.task_token()
    acme.sql(FORGOTTEN)
    assert acme.is_live(token)
    with acme.tx() as tx:
        members_remove(tx, acme.seeded.finance, [acme.seeded.sam])
    assert not acme.is_live(token)
    with acme.tx() as tx:
        members_add(tx, acme.seeded.finance, [acme.seeded.sam], now=acme.now)
    assert acme.is_live(token)


def test_what_is_handed_on_from_such_a_token_keeps_the_memberships_of_the_whole_chain(directory: Directory) -> None:
    team = directory.group("Team", directory.eve)
    directory.permit(team)
    directory.permit_for_eve("ocr-bot")
    first = directory.token()
    directory.tenant.sql(FORGOTTEN)
    second = directory.token("ocr-bot", first)
    directory.leave(team, directory.eve)
    directory.join(team, directory.eve)
    assert (directory.is_live(first), directory.is_live(second)) == (True, False)


def test_a_membership_from_before_they_had_ids_is_told_from_a_later_one(server: Server, acme: Tenant) -> None:
    with psycopg.connect(
        host=server.socket_folder, user=SUPERUSER, dbname=acme.runtime.engine.url.database
    ) as superuser:
        superuser.execute("UPDATE group_members SET id = NULL")
    token = acme.task_token()
    assert acme.is_live(token)
    leave_and_come_back(acme)
    assert not acme.is_live(token)


# --- at once ---------------------------------------------------------------------------------------------------


def test_who_left_and_came_back_between_reading_and_writing_is_seen_by_the_statement_that_writes(
    two_tenants: TwoTenants,
) -> None:
    acme = two_tenants.acme
    parent = acme.task_token()
    with between_reading_and_writing(two_tenants, lambda: leave_and_come_back(acme)):
        answer = acme.exchange("ocr-bot", parent)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert acme.last_event().event.reason == "membership_ended"
    assert acme.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant") == [(1,)]


def test_a_token_on_nothing_older_rests_on_the_membership_that_is_there_when_it_is_written(
    two_tenants: TwoTenants,
) -> None:
    acme = two_tenants.acme
    with between_reading_and_writing(two_tenants, lambda: leave_and_come_back(acme)):
        token = access_token(acme.exchange("invoice-bot"))
    assert acme.is_live(token)
    leave_and_come_back(acme)
    assert not acme.is_live(token)


WAYS: dict[str, Callable[[Directory, list[str]], object]] = {
    "the person leaves": lambda it, groups: it.leave(groups[-1], it.eve),
    "the group within leaves": lambda it, groups: it.leave(groups[0], groups[1]),
    "the group within loses all": lambda it, groups: it.put(groups[1], "Level 1"),
    "the group within is suspended": lambda it, groups: it.tenant.befall(UUID(groups[1]), Transition.SUSPEND),
    "the group within is deleted": lambda it, groups: it.send("DELETE", f"/Groups/{groups[1]}"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_leaving_waits_for_the_token_that_is_about_to_be_issued_and_then_ends_it(
    directory: Directory, two_tenants: TwoTenants, way: str
) -> None:
    groups, released = directory.nest(3), Event()
    directory.permit(groups[0])
    with held_before_commit(two_tenants, released) as held, ThreadPoolExecutor(2) as threads:
        asked = threads.submit(directory.tenant.exchange, "invoice-bot", person="eve")
        assert held.wait(20)
        leaving = threads.submit(WAYS[way], directory, groups)
        while not leaving.done() and not waiting(two_tenants):
            pass
        assert not leaving.done(), "the token's COMMIT comes first"
        released.set()
        token = access_token(asked.result())
        leaving.result()
    assert not directory.is_live(token)


@pytest.mark.parametrize("way", WAYS)
def test_who_left_between_reading_and_writing_gets_no_token(
    directory: Directory, two_tenants: TwoTenants, way: str
) -> None:
    groups = directory.nest(3)
    directory.permit(groups[0])
    with between_reading_and_writing(two_tenants, lambda: WAYS[way](directory, groups)):
        answer = directory.tenant.exchange("invoice-bot", person="eve")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert directory.last_reason() == "delegation_ended"
    assert directory.tenant.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant") == [(0,)]
