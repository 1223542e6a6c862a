"""What others are told of changes, as an administrator reads it; and what an administrator does is told too."""

import pytest

from tests.admin.conftest import EXTERNAL_URL, Admin, Provision

EVENT = "urn:ietf:params:scim:event:"


@pytest.mark.rfc("9967", "2")
@pytest.mark.rfc("9967", "2.1", "2.1-1", "2.1-2", "2.1-4", "2.1-5", "2.1-6")
def test_the_claims_of_a_token_are_told_but_for_its_audience(acme: Admin, provision: Provision) -> None:
    sam = provision("acme", "user")
    [told] = acme.get("/provisioning-events")["items"]
    assert told.keys() == {"iss", "iat", "jti", "txn", "sub_id", "events"}
    assert told["iss"] == f"{EXTERNAL_URL}/t/acme"
    assert isinstance(told["iat"], int)
    assert told["sub_id"]["format"] == "scim"
    assert told["sub_id"]["uri"] == f"/Users/{sam}"
    assert list(told["events"]) == [f"{EVENT}prov:create:notice"]


@pytest.mark.rfc("9967", "2.4.5")
@pytest.mark.rfc("9967", "2.4.6")
def test_what_an_administrator_does_is_told_as_what_it_means_to_others(acme: Admin, provision: Provision) -> None:
    sam = provision("acme", "user")
    for verb in ("suspend", "suspend", "deprovision", "reactivate", "deprovision"):
        acme.post(f"/principals/{sam}/{verb}", {"reason": "test"}, 200)
    told = [list(item["events"]) for item in acme.get("/provisioning-events")["items"]][1:]
    # Who could not be used before a deprovisioning cannot be used after it: that is no news.
    assert told == [[f"{EVENT}prov:{name}"] for name in ("deactivate", "activate", "deactivate")]


@pytest.mark.rfc("9967", "5", "5-3")
def test_the_list_is_read_onwards_from_any_event_and_each_tenant_reads_its_own(
    acme: Admin, rival: Admin, provision: Provision
) -> None:
    for _ in range(3):
        provision("acme", "user")
    everything = acme.get("/provisioning-events")["items"]
    first = acme.get("/provisioning-events?limit=2")
    assert first["next_cursor"] == everything[1]["jti"]
    rest = acme.get(f"/provisioning-events?after={first['next_cursor']}")
    assert [*first["items"], *rest["items"]] == everything
    assert rest["next_cursor"] is None
    assert rival.get("/provisioning-events")["items"] == []
    acme.get("/provisioning-events?after=x", 400)
