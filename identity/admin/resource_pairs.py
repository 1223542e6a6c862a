"""Pairs of resource servers."""

from uuid import UUID

from identity.actions.resource_pairs import change_pair, delete_pair, get_pair, list_pairs, register_pair
from identity.admin import requests, requests_resources, responses_resources
from identity.admin.endpoints import operation
from identity.admin.parsing import changes_in, cut_page, expected_version, read_id_cursor, write_cursor
from identity.edge.call import Call
from identity.model.resource_pair import ResourcePair


def _pair(pair: ResourcePair) -> responses_resources.ResourcePair:
    return responses_resources.ResourcePair.model_validate(pair)


@operation(
    "POST",
    "/tenants/{tenant}/resource-pairs",
    body=requests_resources.NewResourcePair,
    answer=responses_resources.ResourcePair,
    status=201,
)
def register_resource_pair(call: Call, asked: requests_resources.NewResourcePair) -> responses_resources.ResourcePair:
    """Let tokens for one resource server be exchanged for tokens for another. Repeating it changes nothing."""
    registered = register_pair(
        call.tx,
        source=asked.source,
        target=asked.target,
        scopes=asked.scopes,
        authorization_details_types=asked.authorization_details_types,
        caller=call.caller,
        now=call.now,
    )
    return _pair(registered)


@operation("GET", "/tenants/{tenant}/resource-pairs", query=requests.Page, answer=responses_resources.ResourcePairList)
def list_resource_pairs(call: Call, page: requests.Page) -> responses_resources.ResourcePairList:
    """List pairs of resource servers."""
    rows = list_pairs(call.tx, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda pair: write_cursor(str(pair.id)))
    return responses_resources.ResourcePairList(items=[_pair(pair) for pair in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/resource-pairs/{pair_id}", answer=responses_resources.ResourcePair)
def get_resource_pair(call: Call, pair_id: UUID) -> responses_resources.ResourcePair:
    """Read one pair of resource servers."""
    return _pair(get_pair(call.tx, pair_id))


@operation("DELETE", "/tenants/{tenant}/resource-pairs/{pair_id}")
def delete_resource_pair(call: Call, pair_id: UUID) -> None:
    """Delete a pair of resource servers, and end every token that crossed by it."""
    delete_pair(call.tx, pair_id, caller=call.caller, now=call.now)


@operation(
    "PATCH",
    "/tenants/{tenant}/resource-pairs/{pair_id}",
    body=requests_resources.ResourcePairChange,
    answer=responses_resources.ResourcePair,
)
def change_resource_pair(
    call: Call, asked: requests_resources.ResourcePairChange, pair_id: UUID
) -> responses_resources.ResourcePair:
    """Change what crosses; less than before ends the tokens that crossed."""
    changed = change_pair(
        call.tx, pair_id, changes_in(asked), expected_version=expected_version(), caller=call.caller, now=call.now
    )
    return _pair(changed)
