"""Filters and orders by those that a resource names: groups, members, owners, a manager. They find what is shown."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.scim.sources import AGENT, ENTERPRISE, Source


def found(source: Source, endpoint: str, text: str) -> list[str]:
    return [resource["id"] for resource in source.get(f"/{endpoint}?filter={quote(text)}")["Resources"]]


@pytest.fixture
def directory(rfc: Source, rival: Source) -> dict[str, str]:
    """Sam is in Inner, Inner and the boss are in Outer; the bot is sam's, and the boss manages sam."""
    boss = rfc.user("boss", displayName="The Boss")
    sam = rfc.user("sam", **{ENTERPRISE: {"manager": {"value": boss}}})
    inner = rfc.group("Inner", sam)
    outer = rfc.group("Outer", inner, boss)
    bot = rfc.post("/Agents", {"schemas": [AGENT], "name": "bot", "owners": [{"value": sam}, {"value": inner}]})["id"]
    rival.group("Inner", rival.user("sam"))
    return {"boss": boss, "sam": sam, "inner": inner, "outer": outer, "bot": bot}


FILTERS: list[tuple[str, str, list[str]]] = [
    ("Users", 'groups.value eq "{inner}"', ["sam"]),
    ("Users", 'groups eq "{outer}"', ["boss"]),
    ("Users", 'groups.display eq "INNER"', ["sam"]),
    ("Users", 'groups.type eq "direct"', ["boss", "sam"]),
    ("Users", 'groups.type eq "Direct"', ["boss", "sam"]),
    ("Users", 'groups[type eq "direct" and display sw "Out"]', ["boss"]),
    ("Users", 'groups.type eq "indirect"', []),
    ("Users", 'groups.type eq "Group"', []),
    ("Users", "groups pr", ["boss", "sam"]),
    ("Users", "not (groups pr)", []),
    ("Users", ENTERPRISE + ':manager.value eq "{boss}"', ["sam"]),
    ("Users", ENTERPRISE + ':manager eq "{boss}"', ["sam"]),
    ("Users", ENTERPRISE + ":manager pr", ["sam"]),
    ("Users", f"not ({ENTERPRISE}:manager pr)", ["boss"]),
    ("Groups", 'members[type eq "Group"]', ["outer"]),
    ("Groups", 'members[type eq "User" and display eq "the boss"]', ["outer"]),
    ("Groups", 'members[type eq "User" and value eq "{inner}"]', []),
    ("Groups", 'members.value eq "{sam}" or members.value eq "{boss}"', ["inner", "outer"]),
    ("Groups", 'members[value eq "{inner}"] and members[value eq "{boss}"]', ["outer"]),
    ("Groups", 'members.display eq "sam"', ["inner"]),
    ("Agents", 'owners.type eq "Group"', ["bot"]),
    ("Agents", 'owners[type eq "User" and value eq "{sam}"]', ["bot"]),
    ("Agents", 'owners.display co "inn"', ["bot"]),
]


@pytest.mark.rfc("7644", "3.4.2.2")
def test_a_filter_finds_those_that_name_whom_it_asks_for(rfc: Source, directory: dict[str, str]) -> None:
    for endpoint, text, names in FILTERS:
        asked = text.format(**directory) if "{" in text else text
        assert sorted(found(rfc, endpoint, asked)) == sorted(directory[name] for name in names), text


def test_who_is_deleted_is_named_by_nobody_any_more(rfc: Source, directory: dict[str, str]) -> None:
    rfc.delete(f"/Groups/{directory['inner']}")
    rfc.delete(f"/Users/{directory['sam']}")
    gone: dict[str, list[str]] = {
        "Users": ['groups.value eq "{inner}"', 'groups.display eq "Inner"', 'id eq "{sam}"'],
        "Groups": ['members.value eq "{sam}"', 'members.value eq "{inner}"', 'members[type eq "Group"]'],
        "Agents": ["owners pr", 'owners.value eq "{sam}"', 'owners.value eq "{inner}"', 'owners.type eq "Group"'],
    }
    for endpoint, texts in gone.items():
        for text in texts:
            assert found(rfc, endpoint, text.format(**directory)) == [], text
    assert found(rfc, "Users", "groups pr") == [directory["boss"]]
    assert found(rfc, "Agents", "not (owners pr)") == [directory["bot"]]


@pytest.mark.rfc("7644", "3.4.2.2")
def test_meta_is_filtered_by_all_of_it_that_is_stored(rfc: Source, directory: dict[str, str]) -> None:
    sam: Any = rfc.get(f"/Users/{directory['sam']}")
    rfc.patch(f"/Users/{directory['boss']}", {"op": "add", "path": "title", "value": "CEO"})
    created = sam["meta"]["created"]
    for text, names in [
        (f'meta.created eq "{created}"', ["sam"]),
        (f'meta.created lt "{created}"', ["boss"]),
        (f'meta.lastModified gt "{created}"', ["boss"]),
        (f'meta.created ge "{created.replace("Z", "+00:00")}"', ["sam"]),
        ('meta.version eq "W/\\"2\\""', ["boss"]),
        ('meta.resourceType eq "User" and meta.version ne "W/\\"2\\""', ["sam"]),
        ('meta.resourceType eq "Group"', []),
        ("meta pr", ["boss", "sam"]),
    ]:
        assert sorted(found(rfc, "Users", text)) == sorted(directory[name] for name in names), text
    for text in ('meta.location co "x"', 'meta.created gt "yesterday"', "meta.created gt 5", 'meta.created co "2026"'):
        assert rfc.get(f"/Users?filter={quote(text)}", 400)["scimType"] == "invalidFilter", text
