"""What an administrator asks of lists: by state and name, in force, newest first, in a span of time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from identity.edge.runtime import Runtime
from identity.store.transaction import make_engine
from tests.admin.conftest import Admin, Clock, Provision
from tests.conftest import Server
from tests.growth import LARGE, PERSON, SMALL, grow, keep_first_plans, look, read_again_until, rows_read

Grant = Callable[..., str]


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


# --- principals and connections --------------------------------------------------------------------------------


def test_principals_are_listed_by_state(acme: Admin, rival: Admin, provision: Provision) -> None:
    bot, sam, dana = provision("acme", "agent"), provision("acme", "user"), provision("acme", "user")
    theirs = provision("rival", "user")
    for admin, who in ((acme, bot), (acme, sam), (rival, theirs)):
        admin.post(f"/principals/{who}/suspend", {}, 200)
    assert ids(acme.get("/principals?state=suspended")) == [bot, sam]
    assert ids(acme.get("/principals?state=suspended&kind=user")) == [sam]
    assert ids(acme.get("/principals?state=active")) == [dana]
    assert acme.get("/principals?state=deprovisioned")["items"] == []
    first = acme.get("/principals?state=suspended&limit=1")
    assert ids(first) == [bot]
    assert ids(acme.get(f"/principals?state=suspended&after={first['next_cursor']}")) == [sam]
    assert ids(rival.get("/principals?state=suspended")) == [theirs]


def test_principals_are_read_by_their_ids_and_only_ones_own(acme: Admin, rival: Admin, provision: Provision) -> None:
    bot, sam, theirs = provision("acme", "agent"), provision("acme", "user"), provision("rival", "user")
    provision("acme", "user")
    assert ids(acme.get(f"/principals?ids={bot},{sam},{theirs},{uuid4()}")) == [bot, sam]
    assert ids(rival.get(f"/principals?ids={bot},{theirs}")) == [theirs]


@pytest.mark.parametrize("name", ["Finance \U0001f468\u200d\U0001f469", "FINANCE \U0001f468\u200d\U0001f469"])
def test_groups_are_found_by_a_name_that_no_user_can_have(
    acme: Admin, rival: Admin, provision: Provision, name: str
) -> None:
    first, second = (provision("acme", "group", "Finance \U0001f468\u200d\U0001f469") for _ in range(2))
    assert ids(acme.get(f"/principals?kind=group&name={name}")) == [first, second]
    assert ids(acme.get(f"/principals?name={name}")) == [first, second]
    assert acme.get(f"/principals?kind=user&name={name}")["items"] == []
    assert rival.get(f"/principals?name={name}")["items"] == []


def test_connections_are_found_by_their_name(acme: Admin, rival: Admin) -> None:
    made = [acme.post("/connections", {"kind": "scim", "name": name})["id"] for name in ("entra", "okta", "entra")]
    assert ids(acme.get("/connections?name=entra")) == [made[0], made[2]]
    first = acme.get("/connections?name=entra&limit=1")
    assert ids(acme.get(f"/connections?name=entra&after={first['next_cursor']}")) == [made[2]]
    assert rival.get("/connections?name=entra")["items"] == []


# --- delegations -----------------------------------------------------------------------------------------------


@pytest.fixture
def grant(acme: Admin, provision: Provision, resource: str) -> Grant:
    """Grant a delegation that expires at a time, or never, and return its id."""
    bot = provision("acme", "agent", "bot")

    def write(expires_at: datetime | None = None, **more: str) -> str:
        sam = provision("acme", "user")
        asked = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]} | more
        expiry = None if expires_at is None else expires_at.isoformat()
        return str(acme.post("/delegations", asked | {"expires_at": expiry})["id"])

    return write


def test_active_delegations_are_those_that_have_neither_ended_nor_expired(
    acme: Admin, rival: Admin, provision: Provision, grant: Grant, clock: Clock
) -> None:
    soon, later, never = clock.now + timedelta(minutes=1), clock.now + timedelta(days=1), None
    lasting, last, _expired, ended = grant(never), grant(later), grant(soon), grant(never)
    between = grant(clock.now + timedelta(hours=1))
    gone = provision("acme", "user", "gone")
    grant(never, subject_id=gone)
    acme.post(f"/principals/{gone}/deprovision", {}, 200)
    acme.delete(f"/delegations/{ended}")
    clock.advance(minutes=2)
    assert ids(acme.get("/delegations?active=true")) == [between, last, lasting]
    assert rival.get("/delegations?active=true")["items"] == []
    found, cursor = [], ""
    for _ in range(3):
        page = acme.get(f"/delegations?active=true&limit=1{cursor}")
        found += ids(page)
        cursor = f"&after={page['next_cursor']}"
    assert (found, page["next_cursor"]) == ([between, last, lasting], None)


def test_active_delegations_are_those_of_one_actor_or_subject(acme: Admin, provision: Provision, grant: Grant) -> None:
    sam, dana = provision("acme", "user"), provision("acme", "user")
    other = provision("acme", "agent")
    of_sam, of_other = grant(subject_id=sam), grant(subject_id=dana, actor_id=other)
    assert ids(acme.get(f"/delegations?active=true&subject={sam}")) == [of_sam]
    assert ids(acme.get(f"/delegations?active=true&actor={other}")) == [of_other]


@pytest.mark.parametrize("after", ["x", "WyJ4Il0", "WyJ4IiwgInkiXQ", "WyIyMDI2LTExLTMwVDEwOjAwOjAwIiwgIngiXQ"])
def test_a_cursor_of_another_list_is_refused(acme: Admin, after: str) -> None:
    assert acme.get(f"/delegations?active=true&after={after}", 400)["errors"][0]["pointer"] == "after"


# --- logs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(acme: Admin, provision: Provision, clock: Clock) -> list[dict[str, Any]]:
    """The events of acme, four of which are a second apart."""
    for _ in range(4):
        clock.advance(seconds=1)
        provision("acme", "user")
    return acme.events()


def test_the_audit_log_is_read_newest_first_over_its_pages(
    acme: Admin, rival: Admin, timed: list[dict[str, Any]]
) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = acme.get(f"/events?order=desc&limit=2{cursor and f'&after={cursor}'}")
        found += page["items"]
        cursor = page["next_cursor"]
    assert found == timed[::-1]
    assert rival.get("/events?order=desc")["items"] == rival.events()[::-1]
    acme.get("/events?order=newest", 400)


def test_a_span_of_the_audit_log_begins_with_since_and_ends_before_until(
    acme: Admin, timed: list[dict[str, Any]]
) -> None:
    since, until = timed[-3]["at"], timed[-1]["at"]
    assert acme.events(since=since, until=until) == timed[-3:-1]
    assert acme.events(since=since, until=until, order="desc") == timed[-3:-1][::-1]
    assert acme.events(since=since, type="user.created", order="desc") == timed[-3:][::-1]
    assert acme.events(until=timed[0]["at"]) == []
    assert acme.events(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z") == timed
    assert acme.events(since="9999-12-31T23:59:59Z") == acme.events(until="0001-01-01T00:00:00Z") == []


@pytest.mark.parametrize("time", ["yesterday", "2026-11-30", "2026-11-30T10:00:00", "15m", ""])
def test_a_time_says_its_offset_from_utc(acme: Admin, time: str) -> None:
    for name in ("since", "until"):
        fault = acme.get(f"/events?{name}={time}", 400)["errors"][0]
        assert (fault["pointer"], fault["detail"].startswith(f"{name} must be a time")) == (name, True)


# --- what it costs ---------------------------------------------------------------------------------------------

MORE = 25  # the trees of the indexes may be a level deeper
WARM_UP = 4


def let_lists_grow(runtime: Runtime, acme: Admin, has: dict[str, str], numbers: range) -> None:
    tenant, engine = UUID(acme.get("")["id"]), make_engine(runtime.engine.url.render_as_string(hide_password=False))
    named = {"name": "'p' || n", "name_key": "'p' || n", "external_id": "'p' || n"}
    grow(engine, tenant, "principals", f"id = '{has['sam']}'", numbers, id=PERSON, state="'active'", **named)
    old = {"id": PERSON, "at": "now() - interval '300 days'"}
    grow(engine, tenant, "events", f"subject_id = '{has['sam']}' AND type = 'user.created'", numbers, **old)
    ended = {"id": PERSON, "ended_at": "now()", "ended_reason": "'x'", "expires_at": "NULL"}
    grow(engine, tenant, "delegations", f"id = '{has['delegation']}'", numbers, **ended)
    others = {"id": PERSON, "name": "'connection ' || n"}
    grow(engine, tenant, "connections", f"id = '{has['connection']}'", numbers, **others)
    engine.dispose()


@pytest.mark.promise(10)
@pytest.mark.parametrize(
    "path",
    [
        "/principals?state=suspended",
        "/principals?state=suspended&kind=user",
        "/principals?name=finance",
        "/principals?kind=group&name=finance",
        "/principals?ids={sam}",
        "/connections?name=entra",
        "/delegations?active=true",
        "/events?order=desc&limit=5",
        "/events?since={yesterday}",
        "/events?order=desc&since={yesterday}",
        "/events?type=user.created&since={yesterday}",
    ],
)
def test_what_a_list_reads_does_not_grow_with_the_tenant(
    server: Server, runtime: Runtime, acme: Admin, provision: Provision, grant: Grant, clock: Clock, path: str
) -> None:
    keep_first_plans(server, runtime.engine)
    sam = provision("acme", "user", "sam")
    provision("acme", "group", "Finance")
    acme.post(f"/principals/{sam}/suspend", {}, 200)
    connection = acme.post("/connections", {"kind": "scim", "name": "entra"})["id"]
    has = {"sam": sam, "delegation": grant(), "connection": connection}
    asked = path.format(**has, yesterday=(clock.now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    let_lists_grow(runtime, acme, has, range(SMALL))
    look(server, runtime.engine)
    for _ in range(WARM_UP):
        found = acme.get(asked)
    with rows_read(runtime.engine) as before:
        acme.get(asked)
    let_lists_grow(runtime, acme, has, range(SMALL, LARGE))
    most = sum(before) + MORE
    assert read_again_until(runtime.engine, lambda: acme.get(asked), most) <= most
    assert found["items"]
    assert acme.get(asked)["items"] == found["items"]
