"""Principals as an administrator meets them."""

from typing import Any

import pytest

from tests.admin.conftest import Admin, Provision

NOBODY = "01890000-0000-7000-8000-000000000000"
VERBS = {"suspend": "suspended", "deprovision": "deprovisioned"}


def test_principals_are_listed_by_kind_and_by_name_without_case(
    acme: Admin, rival: Admin, provision: Provision
) -> None:
    bot, dana = provision("acme", "agent", "invoice-bot"), provision("acme", "user", "Dana@acme.example")
    provision("rival", "user", "dana@acme.example")
    assert [one["id"] for one in acme.get("/principals?kind=agent")["items"]] == [bot]
    assert [one["id"] for one in acme.get("/principals?name=dana@ACME.example")["items"]] == [dana]
    assert [one["id"] for one in acme.get("/principals")["items"]] == [bot, dana]
    assert acme.get("/principals?kind=robot", 400)["errors"][0]["pointer"] == "kind"
    assert len(rival.get("/principals")["items"]) == 1


def test_a_principal_is_shown_with_those_who_answer_for_it(acme: Admin, rival: Admin, provision: Provision) -> None:
    dana = provision("acme", "user", "dana")
    bot = provision("acme", "agent", "bot", owners=(dana,))
    shown = acme.get(f"/principals/{bot}")
    assert (shown["kind"], shown["state"], shown["name"]) == ("agent", "active", "bot")
    assert [owner["id"] for owner in shown["owners"]] == [dana]
    rival.get(f"/principals/{bot}", 404)


@pytest.mark.promise(1)
@pytest.mark.parametrize(("verb", "state"), VERBS.items())
def test_a_cut_is_the_same_twice_and_an_end_ends_delegations_and_clients_in_one_answer(
    acme: Admin, rival: Admin, provision: Provision, resource: str, verb: str, state: str
) -> None:
    is_end = verb != "suspend"
    bot, sam = provision("acme", "agent"), provision("acme", "user")
    client = acme.post("/clients", {"principal_id": bot})["client_id"]
    grant = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}
    delegation = acme.post("/delegations", grant)["id"]
    rival.post(f"/principals/{bot}/{verb}", {}, 404)
    for _ in range(2):
        assert acme.post(f"/principals/{bot}/{verb}", {"reason": "left"}, 200)["state"] == state
    assert (acme.get(f"/clients/{client}")["revoked_at"] is not None) == is_end
    ended = acme.get(f"/delegations/{delegation}")
    assert (ended["ended_reason"], ended["ended_at"] is not None) == ("party_ended" if is_end else None, is_end)
    assert ("principal", bot) in {(cut["kind"], cut["key"]) for cut in acme.get("/cutoffs")["items"]}
    [event] = acme.events(type=f"agent.{state}")
    assert (event["subject_id"], event["reason"]) == (bot, "left")
    assert event["detail"]["ended"] == {"clients": int(is_end)}


@pytest.mark.promise(9)
@pytest.mark.parametrize(
    ("verb", "asked", "is_back"),
    [
        ("suspend", [{}], True),
        ("suspend", [{"credentials": "keep"}], True),
        ("suspend", [{"credentials": "revoke"}], False),
        ("suspend", [{"credentials": "keep"}, {"credentials": "revoke"}], False),
        ("suspend", [{"credentials": "revoke"}, {"credentials": "keep"}], False),
        ("deprovision", [{}], False),
    ],
)
def test_a_reactivated_agent_has_its_delegations_and_clients_after_a_suspension_that_kept_them_only(
    acme: Admin, provision: Provision, resource: str, verb: str, asked: list[dict[str, str]], is_back: bool
) -> None:
    bot, sam = provision("acme", "agent"), provision("acme", "user")
    grant = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}
    delegation = acme.post("/delegations", grant)["id"]
    client = acme.post("/clients", {"principal_id": bot})["client_id"]
    for body in asked:
        acme.post(f"/principals/{bot}/{verb}", body, 200)
    answer = acme.post(f"/principals/{bot}/reactivate", {}, 200)
    restored = {"clients": [client] * is_back, "delegations": int(is_back), "has_more_delegations": False}
    assert (answer["state"], answer["restored"]) == ("active", restored)
    assert acme.get(f"/principals/{bot}").keys() - {"owners", "groups"} == answer.keys() - {"restored"}
    assert acme.events(type="agent.reactivated")[-1]["detail"]["restored"] == restored
    told = [event["detail"]["credentials"] for event in acme.events(type="agent.suspended")]
    assert told == [body.get("credentials", "keep") for body in asked if verb == "suspend"][: len(told)]
    assert (acme.get(f"/delegations/{delegation}")["ended_at"] is None) == is_back
    assert (acme.get(f"/clients/{client}")["revoked_at"] is None) == is_back


@pytest.mark.promise(9)
@pytest.mark.parametrize(
    ("verb", "body", "pointer", "said"),
    [
        ("suspend", {"credentials": "drop"}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credentials": "REVOKE"}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credentials": ""}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credentials": None}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credentials": True}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credentials": ["revoke"]}, "/credentials", "credentials must be one of keep, revoke"),
        ("suspend", {"credential": "revoke"}, "/credential", "credential is not known here"),
        ("deprovision", {"credentials": "revoke"}, "/credentials", "credentials is not known here"),
        ("reactivate", {"credentials": "keep"}, "/credentials", "credentials is not known here"),
    ],
)
def test_a_suspension_with_one_fault_is_refused_and_changes_nothing(
    acme: Admin, provision: Provision, verb: str, body: dict[str, Any], pointer: str, said: str
) -> None:
    bot = provision("acme", "agent")
    before = acme.get(f"/principals/{bot}")
    problem = acme.post(f"/principals/{bot}/{verb}", body, 400)
    assert problem["errors"] == [{"pointer": pointer, "detail": said}]
    assert acme.get(f"/principals/{bot}") == before


@pytest.mark.promise(4)
@pytest.mark.parametrize("credentials", ["keep", "revoke"])
def test_nobody_suspends_a_principal_of_another_tenant_or_one_that_was_never_there(
    acme: Admin, rival: Admin, provision: Provision, credentials: str
) -> None:
    bot = provision("acme", "agent")
    asked, before = {"credentials": credentials}, acme.get(f"/principals/{bot}")
    theirs = rival.post(f"/principals/{bot}/suspend", asked, 404)
    nowhere = rival.post(f"/principals/{NOBODY}/suspend", asked, 404)
    assert theirs["detail"] == nowhere["detail"]
    for token in ("", "wrong", "idf_scim_something"):
        Admin(acme.http, "acme", token).post(f"/principals/{bot}/suspend", asked, 401)
    assert acme.get(f"/principals/{bot}") == before


@pytest.mark.parametrize("credentials", ["keep", "revoke"])
def test_the_answer_of_a_reactivation_is_kept_with_its_idempotency_key(
    acme: Admin, provision: Provision, credentials: str
) -> None:
    bot = provision("acme", "agent")
    client = acme.post("/clients", {"principal_id": bot})["client_id"]
    acme.post(f"/principals/{bot}/suspend", {"credentials": credentials}, 200)
    first, again = (acme.post(f"/principals/{bot}/reactivate", {}, 200, key="once") for _ in range(2))
    assert first == again
    assert first["restored"]["clients"] == [client] * (credentials == "keep")
    assert acme.post(f"/principals/{bot}/reactivate", {}, 200)["restored"]["clients"] == []


def test_an_agent_whose_owners_are_gone_is_not_reactivated(acme: Admin, provision: Provision) -> None:
    dana = provision("acme", "user")
    bot = provision("acme", "agent", owners=(dana,))
    acme.post(f"/principals/{bot}/suspend", {}, 200)
    acme.post(f"/principals/{dana}/deprovision", {}, 200)
    assert acme.post(f"/principals/{bot}/reactivate", {}, 409)["code"] == "no_active_owner"
    assert acme.get(f"/principals/{bot}")["state"] == "suspended"
    acme.post(f"/principals/{dana}/reactivate", {}, 200)
    assert acme.post(f"/principals/{bot}/reactivate", {}, 200)["state"] == "active"


def test_whoever_is_deprovisioned_can_be_held_so_that_no_source_brings_him_back(
    acme: Admin, provision: Provision
) -> None:
    dana = provision("acme", "user")
    acme.post(f"/principals/{dana}/deprovision", {}, 200)
    held = acme.post(f"/principals/{dana}/suspend", {}, 200)
    assert (held["state"], held["is_held"]) == ("deprovisioned", True)


def test_it_is_shown_whom_an_administrator_holds(acme: Admin, rival: Admin, provision: Provision) -> None:
    dana, theirs = provision("acme", "user"), provision("rival", "user")
    assert acme.get(f"/principals/{dana}")["is_held"] is False
    assert acme.post(f"/principals/{dana}/suspend", {}, 200)["is_held"] is True
    assert acme.post(f"/principals/{dana}/deprovision", {}, 200)["is_held"] is True
    assert acme.post(f"/principals/{dana}/reactivate", {}, 200)["is_held"] is False
    assert [event["detail"]["held"] for event in acme.events(principal=dana) if "held" in event["detail"]] == [
        True, True, False,
    ]  # fmt: skip
    assert rival.get(f"/principals/{theirs}")["is_held"] is False


def test_the_reason_may_be_left_out_with_the_whole_body(acme: Admin, provision: Provision) -> None:
    dana = provision("acme", "user")
    answer = acme.http.post(acme.url(f"/principals/{dana}/suspend"), headers={"Authorization": f"Bearer {acme.token}"})
    assert answer.status_code == 200
    assert acme.events(type="user.suspended")[0]["reason"] == "by_administrator"


def test_the_protected_are_listed_and_each_change_of_it_is_told_once(
    acme: Admin, rival: Admin, provision: Provision
) -> None:
    dana, bot = provision("acme", "user"), provision("acme", "agent")
    provision("rival", "user")
    rival.post(f"/principals/{dana}/protect", {}, 404)
    for _ in range(2):
        assert acme.post(f"/principals/{dana}/protect", {"reason": "break glass"}, 200)["is_protected"] is True
    assert [one["id"] for one in acme.get("/principals?is_protected=true")["items"]] == [dana]
    assert acme.get("/principals?is_protected=true&kind=agent")["items"] == []
    assert rival.get("/principals?is_protected=true")["items"] == []
    acme.get("/principals?is_protected=maybe", 400)
    assert acme.post(f"/principals/{dana}/suspend", {}, 200)["state"] == "suspended"  # an administrator still may
    rival.post(f"/principals/{dana}/unprotect", {}, 404)
    for _ in range(2):
        assert acme.post(f"/principals/{dana}/unprotect", {"reason": "over"}, 200)["is_protected"] is False
    told = [(event["type"], event["reason"]) for event in acme.events(principal=dana) if "protected" in event["type"]]
    assert told == [("user.protected", "break glass"), ("user.unprotected", "over")]
    assert acme.get(f"/principals/{bot}")["is_protected"] is False
