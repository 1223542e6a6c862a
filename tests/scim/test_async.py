"""Asynchronous requests (RFC 9967 §2.5.1): accepted, done by a worker, told of, and read by who asked."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from identity.actions.signing_keys import published_keys
from identity.edge.runtime import Runtime
from identity.model.async_request import PENDING_MAX, RESULT_KEPT_H
from identity.store.transaction import transaction
from scim.limits import ASYNC_VALUES_MIN
from tests.scim.sources import ENTERPRISE, PATCH, USER, Source
from tests.scim.test_bulk import REQUEST, RESPONSE, group, patched, statuses, user
from tests.scim.worker import Worker, forward
from tests.statement_counter import round_trips

ASYNC = "urn:ietf:params:scim:event:misc:asyncresp"
PREFER = {"Prefer": "respond-async"}


@pytest.fixture
def worker(runtime: Runtime, owner_url: str) -> Worker:
    return Worker(runtime, owner_url)


def ask(source: Source, *operations: Any, prefer: str = "respond-async", **more: Any) -> TestResponse:
    body = {"schemas": [REQUEST], "Operations": list(operations), **more}
    return source.ask("POST", "/Bulk", body, Prefer=prefer)


def accepted(source: Source, *operations: Any, **more: Any) -> str:
    """Ask for a Bulk; return its Set-Txn."""
    response = ask(source, *operations, **more)
    assert response.status_code == 202, response.text
    return str(response.headers["Set-Txn"])


def many(prefix: str = "value", number: int = ASYNC_VALUES_MIN) -> list[dict[str, Any]]:
    return [{"op": "add", "path": "emails", "value": [{"value": f"{prefix}{n}@x"} for n in range(number)]}]


def read(source: Source, txn: str) -> list[Any]:
    answered = source.get(f"/AsyncRequests/{txn}")
    assert answered["schemas"] == [RESPONSE]
    found: list[Any] = answered["Operations"]
    return found


def completions(worker: Worker, source: Source) -> dict[str, Any]:
    rows = worker.rows(
        source, f"SELECT txn, sub_id, payloads->'{ASYNC}' FROM provisioning_events WHERE payloads ? '{ASYNC}'"
    )
    return {txn: (sub_id, payload) for txn, sub_id, payload in rows}


# --- accepting -------------------------------------------------------------------------------------------------


@pytest.mark.rfc("9967", "2.5.1.1", "2.5.1.1-3", "2.5.1.1-5")
@pytest.mark.rfc("9967", "3", "3-1")
def test_a_bulk_is_accepted_without_a_body_and_says_how_and_where_its_outcome_is_known(rfc: Source) -> None:
    response = ask(rfc, user("sam"))
    assert (response.status_code, response.data) == (202, b"")
    txn = response.headers["Set-Txn"]
    assert response.headers["Preference-Applied"] == "respond-async"
    assert response.headers["Location"] == f"https://identity.example/t/acme/scim/v2/AsyncRequests/{txn}"
    assert "Content-Type" not in response.headers
    assert rfc.get("/Users")["totalResults"] == 0


@pytest.mark.rfc("9967", "2.5.1.1", "2.5.1.1-1")
def test_the_accept_header_means_nothing_to_an_asynchronous_answer(rfc: Source) -> None:
    body = {"schemas": [REQUEST], "Operations": [user("sam")]}
    assert rfc.ask("POST", "/Bulk", body, Accept="text/html", **PREFER).status_code == 202


def test_the_result_is_the_answer_that_a_waiting_client_had_got(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    operations = [
        group("Finance", "finance", "bulkId:dana", "bulkId:boss"),
        user("dana", "dana", **{ENTERPRISE: {"manager": {"value": "bulkId:boss"}}}),
        user("boss", "boss", **{ENTERPRISE: {"manager": {"value": "bulkId:dana"}}}),  # a circle
        user("sam", "taken"),
        patched("/Groups/bulkId:taken", {"op": "add", "path": "displayName", "value": "x"}),
        patched(f"/Users/{sam}", {"op": "add", "path": "title", "value": "VP"}),
        {"method": "DELETE", "path": f"/Users/{sam}", "version": 'W/"2"'},
        {"method": "GET", "path": "/Users"},
    ]
    txn = accepted(rfc, *operations)
    pending = rfc.ask("GET", f"/AsyncRequests/{txn}")
    assert (pending.status_code, pending.data, pending.headers["Set-Txn"]) == (202, b"", txn)
    assert int(pending.headers["Retry-After"]) > 0
    worker.work(rfc)
    reports = read(rfc, txn)
    assert statuses(reports) == ["201", "201", "201", "409", "409", "200", "204", "400"]
    finance, dana, boss = (report["location"].rsplit("/", 1)[-1] for report in reports[:3])
    assert rfc.members(finance) == {dana, boss}
    assert rfc.get(f"/Users/{dana}")[ENTERPRISE]["manager"]["value"] == boss
    assert rfc.get(f"/Users/{dana}")["meta"]["version"] == reports[1]["version"]
    assert reports[3]["response"]["scimType"] == "uniqueness"
    rfc.get(f"/Users/{sam}", status=404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ({"schemas": [], "Operations": [user("a")]}, 400),
        ({"schemas": [REQUEST], "Operations": []}, 400),
        ({"schemas": [REQUEST], "Operations": [user("a", "u"), user("b", "u")]}, 400),
        ({"schemas": [REQUEST], "Operations": [user("a")], "failOnErrors": 0}, 400),
        ({"schemas": [REQUEST], "Operations": [user("a", str(n)) for n in range(1_001)]}, 413),
    ],
)
def test_what_can_be_refused_at_once_is_and_nothing_of_it_is_kept(
    rfc: Source, worker: Worker, body: Any, status: int
) -> None:
    rfc.answer("POST", "/Bulk", body, status=status, **PREFER)
    assert worker.one(rfc, "SELECT count(*) FROM async_requests") == 0


def test_a_large_patch_is_accepted_and_its_result_is_one_operation(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    body = {"schemas": [PATCH], "Operations": many()}
    response = rfc.ask("PATCH", f"/Users/{sam}", body, **PREFER)
    assert (response.status_code, response.data) == (202, b"")
    txn = response.headers["Set-Txn"]
    assert "emails" not in rfc.get(f"/Users/{sam}")
    worker.work(rfc)
    [report] = read(rfc, txn)
    found = rfc.get(f"/Users/{sam}")
    assert report == {
        "method": "PATCH", "status": "200", "location": found["meta"]["location"], "version": found["meta"]["version"],
    }  # fmt: skip
    assert len(found["emails"]) == ASYNC_VALUES_MIN


def test_a_precondition_of_a_patch_is_looked_at_when_it_is_done(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    body = {"schemas": [PATCH], "Operations": many()}
    response = rfc.ask("PATCH", f"/Users/{sam}", body, If_Match='W/"1"', **PREFER)
    rfc.patch(f"/Users/{sam}", {"op": "add", "path": "title", "value": "VP"})
    worker.work(rfc)
    [report] = read(rfc, response.headers["Set-Txn"])
    assert (report["status"], report["response"]["status"]) == ("412", "412")


@pytest.mark.parametrize(
    "sent",
    [
        many(number=ASYNC_VALUES_MIN - 1),
        [*many(), {"op": "replace"}],
        [*many(), 7],
        [{"op": "add", "path": "title", "value": "x" * 200}],
        {"op": "add"},
        "x" * 200,
        200,
        None,
    ],
)
def test_a_patch_that_is_small_or_malformed_is_answered_at_once(rfc: Source, sent: Any) -> None:
    sam = rfc.user("sam")
    response = rfc.ask("PATCH", f"/Users/{sam}", {"schemas": [PATCH], "Operations": sent}, **PREFER)
    assert response.status_code in (200, 400)
    assert "Preference-Applied" not in response.headers
    assert "Set-Txn" not in response.headers


def test_what_is_no_bulk_and_no_large_patch_is_answered_at_once(rfc: Source) -> None:
    sam = rfc.answer("POST", "/Users", {"schemas": [USER], "userName": "sam"}, status=201, **PREFER)["id"]
    rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "renamed"}, **PREFER)
    rfc.delete(f"/Users/{sam}", **PREFER)


@pytest.mark.rfc("9967", "2.5.1.1", "2.5.1.1-2")
def test_a_client_that_would_rather_wait_gets_the_answer_when_it_is_there_in_time(rfc: Source, worker: Worker) -> None:
    response = ask(rfc, user("sam"), user("dana", "d"), prefer="respond-async, wait=9")
    assert response.status_code == 200
    assert statuses(json.loads(response.data)["Operations"]) == ["201", "201"]
    worker.work(rfc)  # the workers were asked as well, and find it done
    assert worker.one(rfc, "SELECT count(*) FROM outbox WHERE kind = 'scim_async' AND done_at IS NULL") == 0
    assert rfc.get("/Users")["totalResults"] == 2


@pytest.mark.promise(10)
def test_accepting_costs_the_same_whatever_was_asked_for(rfc: Source, runtime: Runtime) -> None:
    rfc.user("first")
    costs = []
    for number in (1, 500):
        with round_trips(runtime.engine) as seen:
            accepted(rfc, *(user(f"{number}-{n}", str(n)) for n in range(number)))
        costs.append(len(seen))
    assert costs[0] == costs[1] <= 8


def test_no_more_than_so_many_requests_of_one_connection_wait(rfc: Source, okta: Source, worker: Worker) -> None:
    for n in range(PENDING_MAX):
        accepted(rfc, user(f"sam{n}"))
    refused = ask(rfc, user("one-more"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert json.loads(refused.data)["status"] == "429"
    accepted(okta, user("another"))
    worker.work(rfc)
    accepted(rfc, user("one-more"))


# --- reading ---------------------------------------------------------------------------------------------------


@pytest.mark.rfc("9967", "5", "5-6")
@pytest.mark.promise(4)
def test_a_result_is_read_by_the_connection_that_asked_and_by_nobody_else(
    rfc: Source, okta: Source, rival: Source, worker: Worker
) -> None:
    txn = accepted(rfc, user("sam"))
    for _ in range(2):
        for other in (okta, rival):
            other.get(f"/AsyncRequests/{txn}", status=404)
        rfc.answer("GET", f"/AsyncRequests/{txn}", status=401, Authorization="Bearer nobody")
        rfc.answer("GET", f"/AsyncRequests/{txn}", status=401, Authorization="")
        worker.work(rfc)
    assert statuses(read(rfc, txn)) == ["201"]
    for nonsense in (uuid4(), "x", f"{txn}0", txn.upper() if txn.upper() != txn else "y"):
        rfc.get(f"/AsyncRequests/{nonsense}", status=404)


def test_a_result_is_only_read(rfc: Source) -> None:
    txn = accepted(rfc, user("sam"))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = rfc.ask(method, f"/AsyncRequests/{txn}", {})
        assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_a_result_is_forgotten_after_a_day(rfc: Source, runtime: Runtime, worker: Worker) -> None:
    txn = accepted(rfc, user("sam"))
    forward(runtime, hours=RESULT_KEPT_H * 3)  # what is not done is not forgotten
    worker.work(rfc)
    forward(runtime, hours=RESULT_KEPT_H - 1)
    read(rfc, txn)
    forward(runtime, hours=1)
    rfc.get(f"/AsyncRequests/{txn}", status=404)


def test_what_was_asked_for_is_sealed_and_forgotten_when_it_is_done(rfc: Source, worker: Worker) -> None:
    secret = "canary-t1meMa$heen"
    accepted(rfc, user("sam", password=secret), user("dana", "d"))
    tables = ("async_requests", "async_reports", "outbox", "events", "provisioning_requests", "provisioning_events")
    dump = " || ".join(f"(SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t)" for table in tables)
    assert secret not in worker.one(rfc, f"SELECT {dump}")
    assert worker.one(rfc, "SELECT position(convert_to('canary', 'UTF8') in sealed_body) FROM async_requests") == 0
    worker.work(rfc)
    assert worker.rows(rfc, "SELECT sealed_body FROM async_requests") == [(None,)]
    assert secret not in worker.one(rfc, f"SELECT {dump}")


# --- telling ---------------------------------------------------------------------------------------------------


@pytest.mark.rfc("9967", "2.5.1.2", "2.5.1.2-1", "2.5.1.2-2", "2.5.1.2-3", "2.5.1.2-4")
@pytest.mark.rfc("9967", "2.5.1.3", "2.5.1.3-2", "2.5.1.3-3")
def test_every_operation_of_a_bulk_is_told_of_by_its_place_in_the_request(rfc: Source, worker: Worker) -> None:
    rfc.user("taken")
    txn = accepted(
        rfc,
        group("Finance", "g", "bulkId:u"),  # done after the next
        user("sam", "u", externalId="7"),
        user("taken", "t"),
    )
    worker.work(rfc)
    finance, sam, refused = read(rfc, txn)
    told = completions(worker, rfc)
    paths = [report["location"].split("/scim/v2")[1] for report in (finance, sam)]
    assert told == {
        f"{txn}:0": ({"format": "scim", "uri": paths[0]}, finance),
        f"{txn}:1": ({"format": "scim", "uri": paths[1], "externalId": "7"}, sam),
        f"{txn}:2": ({"format": "scim", "uri": "/Users"}, refused),
    }
    assert sam == {"method": "POST", "bulkId": "u", "status": "201", "location": sam["location"], "version": 'W/"1"'}
    assert refused["response"]["status"] == refused["status"] == "409"


@pytest.mark.rfc("9967", "2.2", "2.2-2")
def test_what_an_operation_changed_is_told_under_the_same_txn(rfc: Source, worker: Worker) -> None:
    txn = accepted(rfc, user("sam", "s"), user("dana", "d"))
    worker.work(rfc)
    query = "SELECT txn, count(*) FROM provisioning_events GROUP BY txn ORDER BY txn"
    assert worker.rows(rfc, query) == [(f"{txn}:0", 2), (f"{txn}:1", 2)]


@pytest.mark.rfc("9967", "2.5.1.3", "2.5.1.3-1")
@pytest.mark.rfc("9967", "2.5.1.1", "2.5.1.1-4")
def test_a_single_request_is_told_of_by_the_txn_that_was_answered(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    body = {"schemas": [PATCH], "Operations": many()}
    txn = rfc.ask("PATCH", f"/Users/{sam}", body, **PREFER).headers["Set-Txn"]
    worker.work(rfc)
    assert list(completions(worker, rfc)) == [txn]


def token(rfc: Source, txn: str, **headers: str) -> TestResponse:
    return rfc.ask("GET", f"/AsyncRequests/{txn}", Accept="application/secevent+jwt", **headers)


@pytest.mark.rfc("9967", "2.5.1.1")
@pytest.mark.rfc("9967", "2.1", "2.1-2", "2.1-4")
@pytest.mark.rfc("9967", "5", "5-3")
def test_the_completion_event_token_of_each_operation_can_be_retrieved(
    rfc: Source, rival: Source, okta: Source, worker: Worker, runtime: Runtime
) -> None:
    txn = accepted(rfc, user("sam", "s", externalId="7"), user("sam", "t"))
    assert token(rfc, f"{txn}:0").status_code == 202
    worker.work(rfc)
    forward(runtime, seconds=3_600)
    with transaction(runtime.engine, rfc.tenant_id) as tx:
        keys = KeySet.import_key_set(published_keys(tx, now=runtime.clock()))
        connection = worker.one(rfc, "SELECT id FROM connections WHERE dialect = 'rfc'")
    for place, report in enumerate(read(rfc, txn)):
        response = token(rfc, f"{txn}:{place}")
        assert (response.status_code, response.content_type) == (200, "application/secevent+jwt")
        decoded = jwt.decode(response.text, keys, algorithms=["ES256"])
        assert decoded.header["typ"] == "secevent+jwt"
        claims = decoded.claims
        assert claims.keys() == {"iss", "iat", "jti", "aud", "txn", "sub_id", "events"}  # no sub, no exp
        assert claims["iss"] == "https://identity.example/t/acme"
        assert claims["aud"] == str(connection)
        assert claims["txn"] == f"{txn}:{place}"
        assert claims["events"] == {ASYNC: report}
        assert response.text != token(rival, f"{txn}:{place}").text
        assert token(okta, f"{txn}:{place}").status_code == token(rival, f"{txn}:{place}").status_code == 404
        assert rfc.get(f"/AsyncRequests/{txn}:{place}")["Operations"] == [report]
    for nonsense in (txn, f"{txn}:2", f"{txn}:", f"{txn}:-1", f"{txn}:00", f"{txn}:x", f"{txn}:0:0"):
        assert token(rfc, nonsense).status_code == 404
    rfc.get(f"/AsyncRequests/{txn}:2", status=404)


@pytest.mark.rfc("9967", "2.5.1.1")
def test_the_completion_event_token_of_a_single_request_is_at_its_location(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    body = {"schemas": [PATCH], "Operations": many()}
    response = rfc.ask("PATCH", f"/Users/{sam}", body, **PREFER)
    worker.work(rfc)
    where = response.headers["Location"].split("/AsyncRequests/")[1]
    claims = json.loads(base64.urlsafe_b64decode(token(rfc, where).text.split(".")[1] + "=="))
    assert claims["txn"] == response.headers["Set-Txn"]
    assert claims["sub_id"]["uri"] == f"/Users/{sam}"
    assert claims["events"][ASYNC]["method"] == "PATCH"


def test_the_provisioning_log_shows_it_as_if_it_had_been_waited_for(rfc: Source, worker: Worker) -> None:
    rfc.user("taken")
    response = ask(rfc, user("sam", "s"), user("taken", "t"))
    group_id = rfc.group("Finance")
    members = [{"op": "add", "path": "displayName", "value": "x"}] * ASYNC_VALUES_MIN
    rfc.ask("PATCH", f"/Groups/{group_id}", {"schemas": [PATCH], "Operations": members}, **PREFER)
    worker.work(rfc)
    query = "SELECT method, path, outcome, status, name, request_id FROM provisioning_requests ORDER BY id"
    *_, sam, taken, patch = worker.rows(rfc, query)
    assert sam[:5] == ("POST", "/Bulk/Users", "done", 201, "sam")
    assert taken[:5] == ("POST", "/Bulk/Users", "refused", 409, "taken")
    assert patch[:4] == ("PATCH", "/Groups/{id}", "done", 200)
    assert sam[5] == taken[5] == response.headers["X-Request-Id"]


def test_a_group_is_patched_asynchronously_too(rfc: Source, worker: Worker) -> None:
    ids = [rfc.user(f"sam{n}") for n in range(3)]
    finance = rfc.group("Finance")
    values = [{"value": id_} for id_ in ids] * 40
    body = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": values}]}
    txn = rfc.ask("PATCH", f"/Groups/{finance}", body, **PREFER).headers["Set-Txn"]
    worker.work(rfc)
    assert statuses(read(rfc, txn)) == ["200"]
    assert rfc.members(finance) == set(ids)
