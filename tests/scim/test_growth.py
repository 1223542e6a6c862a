"""A request of a source costs the same in a large directory: it reads what it asks for and nothing else."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from identity.http import House
from tests.conftest import Server
from tests.growth import LARGE, PERSON, SMALL, grow, keep_first_plans, look, rows_read
from tests.scim.sources import USER, Source

WARM_UP = 4
MORE = 20  # the trees of the indexes may be a level deeper


def let_it_grow(engine: Engine, source: Source, sam: str, numbers: range) -> None:
    names = {"name": "'p' || n", "name_key": "'p' || n", "external_id": "'p' || n", "display_name_key": "'p' || n"}
    grow(engine, source.tenant_id, "principals", f"id = '{sam}'", numbers, id=PERSON, **names)
    grow(engine, source.tenant_id, "group_members", f"member_id = '{sam}'", numbers, member_id=PERSON)


@pytest.mark.promise(10)
@pytest.mark.parametrize(
    "what", ["get", "find by userName", "find by externalId", "find a group by displayName", "PATCH", "PUT", "create"]
)
def test_what_a_request_reads_does_not_grow_with_the_directory(
    server: Server, house: House, rfc: Source, what: str
) -> None:
    keep_first_plans(server, house.engine)
    sam = rfc.user("sam", externalId="ext-sam", displayName="Sam")
    rfc.group("Finance", sam, externalId="ext-finance")
    numbers = iter(range(100))
    asks: dict[str, Callable[[], object]] = {
        "get": lambda: rfc.get(f"/Users/{sam}"),
        "find by userName": lambda: rfc.get('/Users?filter=userName eq "sam"'),
        "find by externalId": lambda: rfc.get('/Users?filter=externalId eq "ext-sam"'),
        "find a group by displayName": lambda: rfc.get(
            '/Groups?filter=displayName eq "Finance"&excludedAttributes=members'
        ),
        "PATCH": lambda: rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "title", "value": f"{next(numbers)}"}),
        "PUT": lambda: rfc.put(
            f"/Users/{sam}",
            {"schemas": [USER], "userName": "sam", "externalId": "ext-sam", "title": f"{next(numbers)}"},
        ),
        "create": lambda: rfc.user(f"user-{next(numbers)}"),
    }
    let_it_grow(house.engine, rfc, sam, range(SMALL))
    look(server, house.engine)
    for _ in range(WARM_UP):
        asks[what]()
    with rows_read(house.engine) as before:
        asks[what]()
    let_it_grow(house.engine, rfc, sam, range(SMALL, LARGE))
    with rows_read(house.engine) as after:
        asks[what]()
    assert sum(after) <= sum(before) + MORE
