"""When a token is dead, and what a living one says."""

from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.claims import act_of
from identity.model.task import TaskState
from identity.model.token import Cutoff, GrantStatus, inactive_reason, is_active
from tests.model.parties import BOT, MAIL, NOW, OCR, SAM, party, soon, token

RIGHT = token(OCR, BOT)


def test_a_token_of_which_all_is_right_lives() -> None:
    assert inactive_reason(RIGHT, NOW) is None
    assert inactive_reason(RIGHT, soon(119.9)) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"tenant_state": "suspended"}, "tenant_inactive"),
        ({"tenant_state": "whatever comes"}, "tenant_inactive"),
        ({"expires_at": NOW}, "expired"),
        ({"is_revoked": True}, "revoked"),
        ({"parties": (SAM, BOT)}, "party_gone"),
        ({"parties": ()}, "party_gone"),
        ({"parties": (replace(SAM, state="suspended"), BOT, OCR)}, "party_inactive"),
        ({"parties": (SAM, replace(BOT, state="deprovisioned"), OCR)}, "party_inactive"),
        ({"parties": (SAM, BOT, replace(OCR, state="deleted"))}, "party_inactive"),
        ({"parties": (SAM, BOT, replace(OCR, state="ACTIVE"))}, "party_inactive"),
        ({"parties": (SAM, BOT, replace(OCR, valid_until=NOW))}, "party_inactive"),
        ({"parties": (SAM, BOT, replace(OCR, valid_from=soon(1)))}, "party_inactive"),
        ({"parties": (replace(SAM, epoch=1), BOT, OCR)}, "party_cut_off"),
        ({"parties": (SAM, BOT, replace(OCR, epoch=1))}, "party_cut_off"),
        ({"epoch_sum": 1}, "party_cut_off"),
        ({"clients": (GrantStatus("client", is_active=False),)}, "client_revoked"),
        ({"clients": ()}, "client_revoked"),
        ({"client_ids": ("client", "other")}, "client_revoked"),
        ({"delegations": (GrantStatus(str(UUID(int=102)), is_active=False),)}, "delegation_ended"),
        ({"delegations": ()}, "delegation_ended"),
        ({"memberships_hold": False}, "membership_ended"),
        ({"task_state": TaskState.CANCELLED}, "task_ended"),
        ({"task_state": TaskState.COMPLETED}, "task_ended"),
        ({"task_state": None}, "task_ended"),
        ({"task_expires_at": NOW}, "task_expired"),
        ({"cutoffs": (Cutoff("principal", "x", NOW),)}, "cut_off"),
        ({"cutoffs": (Cutoff("tenant", "x", soon(-9)), Cutoff("jti", "x", soon(9)))}, "cut_off"),
    ],
)
def test_a_token_with_one_thing_wrong_is_dead_for_that(changed: dict[str, Any], reason: str) -> None:
    assert inactive_reason(replace(RIGHT, **changed), NOW) == reason


def test_an_older_cut_off_leaves_a_token_alive() -> None:
    assert inactive_reason(replace(RIGHT, cutoffs=(Cutoff("principal", "x", soon(-0.001)),)), NOW) is None


def test_a_token_for_an_agent_itself_needs_no_task() -> None:
    own = token(txn=None, task_state=None, task_expires_at=None, delegation_ids=(), delegations=())
    assert inactive_reason(own, NOW) is None


@given(st.lists(st.integers(-50, 50), max_size=5))
def test_the_latest_cut_off_decides_in_whatever_order_they_came(seconds: list[int]) -> None:
    cutoffs = tuple(Cutoff("principal", str(second), soon(second)) for second in seconds)
    for order in list(permutations(cutoffs))[:6]:
        is_dead = inactive_reason(replace(RIGHT, cutoffs=order), NOW) is not None
        assert is_dead == (max(seconds, default=-1) >= 0)


def test_a_principal_lives_from_the_first_to_before_the_last_instant_of_its_window() -> None:
    bound = party(1, valid_from=NOW, valid_until=soon(1))
    assert [is_active(bound, soon(second)) for second in (-0.001, 0, 0.999, 1)] == [False, True, True, False]


@pytest.mark.rfc("8693", "4.1")
def test_the_present_actor_is_outermost_and_no_link_is_dropped() -> None:
    act = act_of((MAIL, OCR, BOT), "https://id.example/t/acme")
    subs = []
    while act:
        assert act.keys() - {"act"} == {"sub", "iss", "sub_profile"}
        subs.append(act["sub"])
        act = act.get("act", {})
    assert subs == [str(MAIL.id), str(OCR.id), str(BOT.id)]
