"""scim2-client provisions with nothing but what the service says of itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    PatchOp,
    PatchOperation,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)

from tests.conformance.stage import Party


@contextmanager
def client_of(party: Party) -> Iterator[SyncSCIMClient]:
    headers = {"Authorization": f"Bearer {party.scim.token}"}
    with httpx2.Client(base_url=party.scim.base_url, headers=headers, trust_env=False, timeout=20) as http:
        client = SyncSCIMClient(http)
        client.discover()
        yield client


@pytest.fixture
def scim(acme: Party) -> Iterator[SyncSCIMClient]:
    """The client of acme's source, its models built from the published schemas."""
    with client_of(acme) as client:
        yield client


@pytest.fixture
def scim_of_rival(rival: Party) -> Iterator[SyncSCIMClient]:
    with client_of(rival) as client:
        yield client


def test_it_discovers_every_kind_of_resource_and_what_is_supported(scim: SyncSCIMClient) -> None:
    assert {each.name for each in scim.provider.resource_types} == {"User", "Group", "Agent", "ServiceAccount"}
    config = scim.provider.config
    assert config is not None
    assert config.patch.supported and config.filter.supported and config.etag.supported


def test_it_creates_finds_replaces_modifies_and_deletes_a_user(scim: SyncSCIMClient) -> None:
    user_model = scim.get_resource_model("User")
    created = scim.create(user_model(user_name="kim@example.com", display_name="Kim", active=True))
    assert scim.query(user_model, created.id) == created

    found = scim.query(user_model, query_parameters=SearchRequest(filter='userName eq "KIM@example.com"'))
    assert [each.id for each in found.resources] == [created.id]

    created.display_name = "Kim Replaced"
    replaced = scim.replace(created)
    assert replaced.display_name == "Kim Replaced"

    change = PatchOperation(op=PatchOperation.Op.replace_, path="displayName", value="Kim Modified")
    scim.modify(replaced, PatchOp[user_model](operations=[change]))
    assert scim.query(user_model, created.id).display_name == "Kim Modified"

    scim.delete(user_model, created.id)
    with pytest.raises(SCIMException) as refused:
        scim.query(user_model, created.id)
    assert refused.value.status == 404


def test_a_user_that_somebody_else_changed_is_not_overwritten(scim: SyncSCIMClient) -> None:
    user_model = scim.get_resource_model("User")
    mine = scim.create(user_model(user_name="lee@example.com"))
    theirs = scim.query(user_model, mine.id)
    theirs.display_name = "Lee"
    scim.replace(theirs)
    mine.display_name = "Overwritten"
    with pytest.raises(SCIMException) as refused:
        scim.replace(mine)
    assert refused.value.status == 412
    assert scim.query(user_model, mine.id).display_name == "Lee"


def test_it_puts_people_into_a_group_and_takes_them_out(scim: SyncSCIMClient, acme: Party) -> None:
    group_model = scim.get_resource_model("Group")
    members = group_model.Members
    group = scim.create(group_model(display_name="Auditors", members=[members(value=acme.ids["dana"])]))
    add = PatchOperation(op=PatchOperation.Op.add, path="members", value=[{"value": acme.ids["sam"]}])
    scim.modify(group_model, group.id, PatchOp[group_model](operations=[add]))
    remove = PatchOperation(op=PatchOperation.Op.remove, path=f'members[value eq "{acme.ids["dana"]}"]')
    scim.modify(group_model, group.id, PatchOp[group_model](operations=[remove]))
    assert [each.value for each in scim.query(group_model, group.id).members] == [acme.ids["sam"]]
    scim.delete(group_model, group.id)


def test_it_handles_agents_by_the_schema_that_we_publish(scim: SyncSCIMClient, acme: Party) -> None:
    agent_model = scim.get_resource_model("Agent")
    owner = agent_model.Owners(value=acme.ids["dana"])
    agent = scim.create(agent_model(agent_user_name="report-bot", display_name="Reports", active=True, owners=[owner]))
    assert [each.value for each in scim.query(agent_model, agent.id).owners] == [acme.ids["dana"]]

    stop = PatchOperation(op=PatchOperation.Op.replace_, path="active", value=False)
    scim.modify(agent_model, agent.id, PatchOp[agent_model](operations=[stop]))
    assert scim.query(agent_model, agent.id).active is False
    scim.delete(agent_model, agent.id)


def test_it_pages_searches_by_post_and_asks_for_single_attributes(scim: SyncSCIMClient) -> None:
    user_model = scim.get_resource_model("User")
    page = scim.query(user_model, query_parameters=SearchRequest(start_index=2, count=1))
    assert page.total_results >= 2
    assert len(page.resources) == 1

    wanted = SearchRequest(filter='userName sw "sam@"', attributes=["userName"])
    [sam] = scim.search(user_model, search_request=wanted).resources
    assert (sam.user_name, sam.display_name) == ("sam@example.com", None)

    only_name = ResponseParameters[user_model](attributes=["userName"])
    assert scim.query(user_model, sam.id, query_parameters=only_name).display_name is None


def test_it_finds_nothing_of_another_tenant(scim_of_rival: SyncSCIMClient, acme: Party) -> None:
    with pytest.raises(SCIMException) as refused:
        scim_of_rival.query(scim_of_rival.get_resource_model("User"), acme.ids["sam"])
    assert refused.value.status == 404
