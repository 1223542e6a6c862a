"""Tenants and their keys."""

from datetime import UTC, datetime

from tests.admin.conftest import ADMIN_TOKEN, Admin, Clock


def test_a_new_tenant_has_its_own_issuer_and_one_signing_key(platform: Admin) -> None:
    made = platform.post("/tenants", {"slug": "acme", "display_name": "Acme"})
    assert made["issuer"] == "https://identity.example/t/acme"
    keys = Admin(platform.http, "acme").get("/keys")["items"]
    assert [key["is_signing"] for key in keys] == [True]
    assert "d" not in keys[0]["public_jwk"]


def test_a_slug_is_given_once(acme: Admin, platform: Admin) -> None:
    problem = platform.post("/tenants", {"slug": "acme", "display_name": "Other"}, 409)
    assert (problem["code"], problem["status"]) == ("slug_taken", 409)


def test_a_tenant_is_read_by_its_slug_and_listed_in_the_order_of_creation(
    acme: Admin, rival: Admin, platform: Admin
) -> None:
    listed = platform.get("/tenants")
    assert [tenant["slug"] for tenant in listed["items"]] == ["acme", "rival"]
    assert listed["next_cursor"] is None
    assert acme.get("")["id"] == listed["items"][0]["id"]


def test_pages_follow_one_another_without_gap_or_repetition(platform: Admin) -> None:
    for number in range(5):
        platform.post("/tenants", {"slug": f"t{number}", "display_name": "T"})
    seen, cursor = [], ""
    while cursor is not None:
        page = platform.get(f"/tenants?limit=2{cursor and '&after=' + cursor}")
        seen += [tenant["slug"] for tenant in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"t{number}" for number in range(5)]


def test_a_rotated_key_is_published_at_once_and_signs_when_every_cached_set_has_it(acme: Admin, clock: Clock) -> None:
    new = acme.post("/keys/rotate", None, 200)
    assert [key["is_signing"] for key in acme.get("/keys")["items"]] == [True, False]
    assert datetime.fromisoformat(new["activates_at"]) > clock.now.astimezone(UTC)
    clock.advance(seconds=301)
    assert {key["kid"]: key["is_signing"] for key in acme.get("/keys")["items"]}[new["kid"]] is True


def test_only_so_many_keys_verify_at_once(acme: Admin) -> None:
    while (answer := acme.ask("POST", "/keys/rotate")).status_code == 200:
        pass
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_keys")


def test_creating_a_tenant_is_the_first_event_of_its_trail_and_of_nobody_elses(acme: Admin, rival: Admin) -> None:
    assert [event["type"] for event in acme.events()] == ["key.created", "tenant.created"]
    [created] = rival.events(type="tenant.created")
    assert created["tenant"] == "rival"
    assert created["caller"] == {"kind": "administrator", "id": "administrator"}
    assert created["request_id"]


def test_without_the_administrators_token_nothing_is_answered(platform: Admin) -> None:
    for token in ("wrong", ADMIN_TOKEN + "x", "ungültig-ungültig"):
        stranger = Admin(platform.http, token=token)
        answer = stranger.ask("GET", "/tenants")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.content_type == "application/problem+json"
    assert platform.http.get("/admin/v1/tenants").status_code == 401
    assert platform.http.get("/admin/v1/nowhere").status_code == 401
