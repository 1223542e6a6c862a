"""Agents: what the current drafts say of them, in their old and their new spellings."""

from typing import Any

import pytest

from tests.scim.sources import AGENT, Source


def agent(source: Source, status: int = 201, **members: Any) -> Any:
    return source.post("/Agents", {"schemas": [AGENT], **members}, status)


@pytest.mark.parametrize("spelling", ["name", "agentUserName"])
def test_an_agent_is_named_in_either_spelling_and_its_name_is_unique_in_both(rfc: Source, spelling: str) -> None:
    made = agent(rfc, **{spelling: "invoice-bot"})
    assert made["agentUserName"] == "invoice-bot"
    for other in ("name", "agentUserName"):
        assert agent(rfc, 409, **{other: "Invoice-Bot"})["scimType"] == "uniqueness"


def test_an_agent_says_how_it_is_spoken_to_and_of_whom_it_is_a_part(rfc: Source) -> None:
    orchestrator = agent(rfc, name="orchestrator")["id"]
    protocols = [{"type": "MCP-Server", "specificationUrl": "https://bot.example/mcp"}, {"type": "A2A"}]
    made = agent(rfc, name="bot", protocols=protocols, parent={"value": orchestrator})
    assert made["protocols"] == protocols
    assert made["parent"]["value"] == orchestrator
    assert made["parent"]["$ref"].endswith(f"/Agents/{orchestrator}")
    path = f"/Agents/{made['id']}"
    for where in ('protocols[type eq "a2a"]', f'parent.value eq "{orchestrator}"', "protocols.specificationUrl pr"):
        assert [each["id"] for each in rfc.get(f"/Agents?filter={where}")["Resources"]] == [made["id"]]
    changed = rfc.patch(
        path,
        {"op": "remove", "path": 'protocols[type eq "A2A"]'},
        {"op": "remove", "path": "parent"},
    )
    assert changed["protocols"] == protocols[:1]
    assert "parent" not in changed


def test_a_part_of_an_agent_that_ends_goes_on(rfc: Source) -> None:
    """Who answers for an agent is its owners; a parent is a fact about its making."""
    orchestrator = agent(rfc, name="orchestrator")["id"]
    path = "/Agents/" + agent(rfc, name="bot", parent={"value": orchestrator})["id"]
    rfc.delete(f"/Agents/{orchestrator}")
    assert rfc.get(path)["active"] is True
