"""A task as a tree of tokens on a terminal: parties by name, what befell each token, and nothing a name could do."""

from typing import Any

from cli.task_tree import ids_in, lines_of, readable

SAM, BOT, OCR = "sam's id", "bot's id", "ocr's id"
NAMES = {SAM: "sam@acme.example", BOT: "invoice-bot"}


def token(actor: str | None, **more: Any) -> dict[str, Any]:
    told = {"actor_id": actor, "client_id": "c", "audience": "https://erp.example", "scope": "read", "renewals": 0,
            "issued_at": "2026-11-30T10:00:01.123456Z", "expires_at": "2026-11-30T10:02:01Z", "has_crossed": False,
            "is_cancelled": False, "revoked_at": None, "refusals": [], "children": []}  # fmt: skip
    return told | more


def tree(*tokens: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"txn": "7", "subject_id": SAM, "opened_by": BOT, "purpose": "pay", "opened_at": "2026-11-30T10:00:00Z",
            "ended_at": None, "ended_as": None, "ended_reason": None, "tokens": list(tokens), "refusals": [],
            "is_truncated": False}  # fmt: skip
    return told | more


def test_each_token_is_a_line_below_the_one_that_it_was_traded_for() -> None:
    refused = {
        "at": "2026-11-30T10:00:03Z",
        "type": "oauth.refused",
        "reason": "scope_exceeded",
        "actor_ids": [OCR, BOT],
    }
    child = token(OCR, audience="https://ledger.example", scope="", has_crossed=True, is_cancelled=True)
    root = token(BOT, renewals=3, revoked_at="2026-11-30T10:01:00Z", refusals=[refused], children=[child])
    when = "2026-11-30T10:00:01 to 2026-11-30T10:02:01"
    drawn = tree(
        root, ended_at="2026-11-30T10:05:00Z", ended_as="cancelled", ended_reason="by_subject", is_truncated=True
    )
    assert list(lines_of(drawn, NAMES)) == [
        "Task 7: pay",
        "opened by invoice-bot for sam@acme.example at 2026-11-30T10:00:00",
        "cancelled at 2026-11-30T10:05:00: by_subject",
        f"   invoice-bot: read at https://erp.example, {when}, renewed 3 times, revoked",
        "      refused: ocr's id: scope_exceeded, 2026-11-30T10:00:03",
        f"      ocr's id: no scope at https://ledger.example, {when}, crossed, branch cancelled",
        "\nThere is more: identity audit list TENANT --txn 7",
    ]
    assert {*ids_in(drawn)} == {SAM, BOT, OCR}


def test_a_task_without_a_token_and_a_subject_that_acts_itself() -> None:
    assert list(lines_of(tree(purpose=None), {})) == [
        "Task 7",
        "opened by bot's id for sam's id at 2026-11-30T10:00:00",
    ]
    assert list(lines_of(tree(token(None, renewals=1)), NAMES))[2].startswith("   itself: read at")


def test_nothing_that_an_agent_wrote_can_do_anything_to_a_terminal() -> None:
    lines = list(lines_of(tree(token(BOT), purpose="pay\x1b[2J"), NAMES | {BOT: "bot\x1b[2J\n"}))
    assert not any("\x1b" in line or "\n" in line for line in lines)


def test_authority_and_budget_are_words() -> None:
    entries = [
        {"resource": "https://erp.example", "scopes": ["read", "pay"], "authorization_details": [{"type": "invoice"}]},
        {"resource": "https://crm.example", "scopes": [], "authorization_details": []},
    ]
    budget = {"tokens": 9, "tokens_per_minute": None, "fan_out": 2, "depth": 3}
    shown = readable({"authority": entries, "budget": budget, "spent": {"tokens": 4, "fan_out": 1}})
    assert shown == {
        "authority": "read pay at https://erp.example with 1 authorization details; no scope at https://crm.example",
        "budget": "tokens 4 of 9, fan_out 1 of 2, depth 3",
    }
    assert readable({"authority": None, "budget": None, "spent": None}) == {"authority": "", "budget": ""}
