"""Every effect of an asynchronous request happens once, whoever is killed or at it too, and whatever is silent."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from identity.actions.outbox import discard_outbox, replay_outbox
from identity.edge.runtime import Runtime
from identity.model.outbox import Progress
from identity.store.transaction import transaction
from tests.scim.defined import DEVICE, Defined
from tests.scim.sources import ADMINISTRATOR, ENTERPRISE, Source
from tests.scim.test_async import accepted, completions, read
from tests.scim.test_bulk import group, patched, statuses, user
from tests.scim.worker import Killed, Worker

pytestmark = pytest.mark.promise(6)

TRANSACTIONS = 9
"""Of the Bulk below: one to begin, one for each of six units and one more for the refused one, one to end."""


@pytest.fixture
def worker(runtime: Runtime, owner_url: str) -> Worker:
    return Worker(runtime, owner_url)


def request_of_everything(rfc: Source) -> str:
    rfc.user("taken")
    return accepted(
        rfc,
        group("Finance", "finance", "bulkId:sam", "bulkId:boss"),  # done after those that it names
        user("sam", "sam", externalId="7"),
        user("taken", "again"),
        user("boss", "boss", **{ENTERPRISE: {"manager": {"value": "bulkId:peer"}}}),
        user("peer", "peer", **{ENTERPRISE: {"manager": {"value": "bulkId:boss"}}}),
        patched("/Users/bulkId:sam", {"op": "add", "path": "title", "value": "VP"}),
        {"method": "DELETE", "path": "/Users/bulkId:peer"},
    )


WANTED = ["201", "201", "409", "201", "201", "200", "204"]
EFFECTS = """
SELECT type, count(*) FROM events WHERE caller_kind = 'connection' AND type <> 'async_request.accepted'
 GROUP BY type ORDER BY type
"""
LOGGED = "SELECT path, outcome, count(*) FROM provisioning_requests GROUP BY 1, 2 ORDER BY 1, 2"
TOLD = "SELECT jsonb_object_keys(payloads), count(*) FROM provisioning_events GROUP BY 1 ORDER BY 1"


def effects(worker: Worker, source: Source) -> Any:
    """Everything that must be there once: in the trail, in the log, and told."""
    log = worker.rows(source, "SELECT path, outcome, count(*) FROM provisioning_requests GROUP BY 1, 2 ORDER BY 1, 2")
    told = worker.rows(
        source, "SELECT jsonb_object_keys(payloads), count(*) FROM provisioning_events GROUP BY 1 ORDER BY 1"
    )
    return worker.rows(source, EFFECTS), log, told


@pytest.fixture
def undisturbed(sources: Any, worker: Worker) -> Any:
    """What the same request does when nothing goes wrong, in a tenant of its own."""
    calm = sources.make("calm", "rfc")
    txn = request_of_everything(calm)
    worker.work(calm)
    assert statuses(read(calm, txn)) == WANTED
    assert worker.count == TRANSACTIONS
    worker.count = 0
    return effects(worker, calm)


@pytest.mark.parametrize("before_commit", [True, False], ids=["before its commit", "after its commit"])
@pytest.mark.parametrize("dies_at", range(1, TRANSACTIONS + 1))
def test_whoever_is_killed_at_any_transaction_is_followed_by_another_and_nothing_is_done_twice_or_lost(
    rfc: Source, worker: Worker, undisturbed: Any, dies_at: int, before_commit: bool
) -> None:
    txn = request_of_everything(rfc)
    worker.dies_at, worker.dies_before_commit = dies_at, before_commit
    with pytest.raises(Killed):
        worker.work(rfc)
    worker.dies_at = None
    worker.work(rfc)
    reports = read(rfc, txn)
    assert statuses(reports) == WANTED
    assert effects(worker, rfc) == undisturbed
    assert set(completions(worker, rfc)) == {f"{txn}:{place}" for place in range(len(WANTED))}
    finance, sam, _, boss, *_ = (report["location"].rsplit("/", 1)[-1] for report in reports if "location" in report)
    assert rfc.members(finance) >= {sam}
    assert rfc.get(f"/Users/{sam}")["title"] == "VP"
    assert boss


def test_whoever_is_killed_again_and_again_gets_there_transaction_by_transaction(
    rfc: Source, worker: Worker, undisturbed: Any
) -> None:
    txn = request_of_everything(rfc)
    for _ in range(20):
        worker.dies_at, worker.dies_before_commit = worker.count + 2, False  # it reads, does one more, and is killed
        try:
            worker.work(rfc)
        except Killed:
            worker.rows(rfc, "UPDATE outbox SET attempts = 0 WHERE kind = 'scim_async' RETURNING 1")
    worker.dies_at = None
    worker.work(rfc)
    assert statuses(read(rfc, txn)) == WANTED
    assert effects(worker, rfc) == undisturbed


@pytest.mark.parametrize("at", range(2, TRANSACTIONS + 1, 2))
def test_of_two_workers_at_once_one_leaves_it_to_the_other(
    rfc: Source, worker: Worker, runtime: Runtime, owner_url: str, undisturbed: Any, at: int
) -> None:
    txn = request_of_everything(rfc)
    other, ends = Worker(runtime, owner_url), []

    def meanwhile(number: int) -> None:
        if number == at:
            ends.append(other.perform(rfc.tenant_id, UUID(txn)))

    worker.meanwhile = meanwhile
    ends.append(worker.perform(rfc.tenant_id, UUID(txn)))
    assert ends[0] is Progress.DONE
    assert ends[1] in (Progress.CLAIMED_ELSEWHERE, Progress.DONE)
    assert statuses(read(rfc, txn)) == WANTED
    assert effects(worker, rfc) == undisturbed


def test_a_worker_that_finds_another_within_an_operation_leaves_it_alone(
    rfc: Source, worker: Worker, owner_url: str
) -> None:
    txn = accepted(rfc, user("sam"))
    with psycopg.connect(owner_url.replace("+psycopg", "")) as another:
        another.execute(f"SET app.tenant = '{rfc.tenant_id}'")
        another.execute("SELECT FROM async_requests WHERE id = %s FOR UPDATE", [txn])
        assert worker.perform(rfc.tenant_id, UUID(txn)) is Progress.CLAIMED_ELSEWHERE
    assert rfc.get("/Users")["totalResults"] == 0
    assert worker.perform(rfc.tenant_id, UUID(txn)) is Progress.DONE


def test_long_work_gives_up_its_turn_and_goes_on_in_the_next(rfc: Source, worker: Worker) -> None:
    txn = accepted(rfc, *(user(f"sam{n}", str(n)) for n in range(5)))
    for done in range(1, 5):
        looks = iter([False, True])
        worker.turns = lambda looks=looks: next(looks)  # type: ignore[misc]
        worker.work(rfc)
        assert rfc.get("/Users")["totalResults"] == done
        assert rfc.ask("GET", f"/AsyncRequests/{txn}").status_code == 202
        # What gets on is never given up.
        assert worker.one(rfc, "SELECT attempts FROM outbox WHERE kind = 'scim_async'") == 0
    worker.turns = lambda: False
    worker.work(rfc)
    assert statuses(read(rfc, txn)) == ["201"] * 5


def test_after_so_many_errors_nothing_more_is_tried_whoever_goes_on(rfc: Source, worker: Worker) -> None:
    rfc.user("taken")
    operations = [user("taken", "1"), user("sam", "2"), user("taken", "3"), user("dana", "4")]
    txn = accepted(rfc, *operations, failOnErrors=2)
    worker.dies_at, worker.dies_before_commit = 3, False  # the first refusal is recorded
    with pytest.raises(Killed):
        worker.work(rfc)
    worker.dies_at = None
    worker.work(rfc)
    assert statuses(read(rfc, txn)) == ["409", "201", "409"]


def test_a_connection_that_ends_meanwhile_has_the_rest_refused(rfc: Source, worker: Worker) -> None:
    txn = accepted(rfc, *(user(f"sam{n}", str(n)) for n in range(4)))

    def meanwhile(number: int) -> None:
        if number == 4:  # two are done
            worker.rows(rfc, "UPDATE connections SET ended_at = now() RETURNING 1")

    worker.meanwhile = meanwhile
    worker.work(rfc)
    worker.rows(rfc, "UPDATE connections SET ended_at = NULL RETURNING 1")  # only so that it can be read
    reports = read(rfc, txn)
    assert statuses(reports) == ["201", "201", "401", "401"]
    assert all(report["response"]["status"] == "401" for report in reports[2:])
    assert rfc.get("/Users")["totalResults"] == 2


def test_a_token_that_ends_meanwhile_ends_nothing_that_was_accepted(rfc: Source, worker: Worker) -> None:
    txn = accepted(rfc, user("sam"))
    worker.rows(rfc, "UPDATE connection_tokens SET revoked_at = now() RETURNING 1")
    worker.work(rfc)
    worker.rows(rfc, "UPDATE connection_tokens SET revoked_at = NULL RETURNING 1")
    assert statuses(read(rfc, txn)) == ["201"]


def test_what_the_database_does_not_answer_is_tried_again_and_reported_as_it_ends(
    rfc: Source, worker: Worker, owner_url: str
) -> None:
    sam = rfc.user("sam")
    title = patched(f"/Users/{sam}", {"op": "add", "path": "title", "value": "VP"})
    txn = accepted(rfc, user("a", "a"), title, user("b", "b"))
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner, capture_logs() as logs:
        owner.execute(f"SET app.tenant = '{rfc.tenant_id}'")
        owner.execute("SELECT id FROM principals WHERE id = %s FOR UPDATE", [sam])  # somebody else is at it
        worker.work(rfc)
        assert [line["event"] for line in logs] == ["outbox_row_failed"]
        assert rfc.ask("GET", f"/AsyncRequests/{txn}").status_code == 202
        query = "SELECT last_error, available_at > created_at FROM outbox WHERE kind = 'scim_async'"
        assert worker.rows(rfc, query) == [("Unavailable", True)]
    worker.work(rfc)
    assert statuses(read(rfc, txn)) == ["201", "200", "201"]


def test_a_fault_of_ours_is_reported_as_one_and_the_next_operation_is_done(
    rfc: Source, worker: Worker, owner_url: str
) -> None:
    sam = rfc.user("sam")
    txn = accepted(rfc, {"method": "DELETE", "path": f"/Users/{sam}"}, user("next", "n"))
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute("REVOKE INSERT ON cutoffs FROM identity_app")
    with capture_logs() as logs:
        worker.work(rfc)
    assert [line["event"] for line in logs] == ["scim_bulk_fault"]
    assert statuses(read(rfc, txn)) == ["500", "201"]
    assert worker.one(rfc, "SELECT count(*) FROM provisioning_requests WHERE outcome = 'failed'") == 1
    rfc.get(f"/Users/{sam}")


def test_what_the_workers_gave_up_on_is_tried_again_or_ended_by_an_administrator(
    rfc: Source, worker: Worker, runtime: Runtime
) -> None:
    given_up = [accepted(rfc, user(name, name), user(f"{name}2", f"{name}2")) for name in ("sam", "dana")]
    for txn in given_up:  # one of the two operations is done
        looks = iter([False, True])
        worker.turns = lambda looks=looks: next(looks)  # type: ignore[misc]
        worker.settle(rfc, UUID(txn))
    worker.turns = lambda: False
    worker.rows(rfc, "UPDATE outbox SET dead_at = now() WHERE kind = 'scim_async' RETURNING 1")
    replayed, discarded = given_up
    with transaction(runtime.engine, rfc.tenant_id) as tx:
        told = {"caller": ADMINISTRATOR, "now": runtime.clock()}
        replay_outbox(tx, UUID(replayed), **told)
        discard_outbox(tx, UUID(discarded), **told)
    worker.work(rfc)
    assert statuses(read(rfc, replayed)) == ["201", "201"]
    assert statuses(read(rfc, discarded)) == ["201"]  # what was not tried is not reported
    assert worker.rows(rfc, "SELECT sealed_body FROM async_requests") == [(None,), (None,)]


def test_resources_of_a_type_that_the_tenant_defined_are_provisioned_too(
    rfc: Source, worker: Worker, runtime: Runtime
) -> None:
    Defined(runtime, rfc).device()
    data = {"schemas": [DEVICE], "serial": "7"}
    txn = accepted(rfc, {"method": "POST", "path": "/Devices", "bulkId": "d", "data": data})
    worker.work(rfc)
    [report] = read(rfc, txn)
    assert report["status"] == "201"
    made = report["location"].rsplit("/", 1)[-1]
    assert rfc.get(f"/Devices/{made}")["serial"] == "7"
    assert completions(worker, rfc)[f"{txn}:0"][0]["uri"] == f"/Devices/{made}"
