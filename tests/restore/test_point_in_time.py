"""The drill: a base backup, a point in time, a catastrophe; and what `identity restored` is for."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import main
from dev.postgres import Cluster
from identity.model.lifecycle import Transition
from identity.model.restoration import AHEAD
from tests.fixtures import ASSERTION_TYPE, ERP, Seeded, Tenant, TwoTenants, directory_token
from tests.restore.backing_up import archive, back_up_files, cluster_in, folder, mark, restored_to
from tests.restore.sowing import serving, sow

IN_HALF_A_MINUTE = AHEAD.total_seconds() + 1
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@dataclass
class Kept:
    """What those outside still have when the database is taken back to ``point``."""

    seeded: tuple[Seeded, Seeded]
    point: str
    before: list[tuple[int, str]]
    """Tokens from before the point: the number of the tenant, and the token."""
    after: str
    sign_in: str
    used: list[str]


@pytest.fixture(scope="module")
def taken_back() -> Iterator[tuple[Cluster, Kept]]:
    """Acme and rival as they were before Sam left acme, which was at once and in truth."""
    with folder() as origin, folder() as place:
        kept = live_on(origin, place)
        with restored_to("before Sam left", place) as cluster:
            yield cluster, kept


def live_on(origin: Path, place: Path) -> Kept:
    with cluster_in(origin, migrated=True) as cluster:
        seeded = sow(cluster)
        back_up_files(cluster, place)
        with serving(cluster, seeded) as two_tenants:
            acme, rival = two_tenants.acme, two_tenants.rival
            before = [(0, acme.task_token()), (0, acme.own_token("invoice-bot")), (1, rival.task_token())]
            assertions = [assertion(acme) for _ in range(2)]
            sign_in = acme.id_token()
            mark(cluster, "before Sam left")
            point = datetime.now(UTC).isoformat()
            acme.befall(acme.seeded.sam, Transition.DEPROVISION)
            assert not acme.is_live(before[0][1])
            after = acme.task_token(person="dana")
            assert [used(acme, each) for each in assertions] == [200, 200]
        archive(cluster, place)
    return Kept(seeded, point, before, after, sign_in, assertions)


def assertion(tenant: Tenant) -> str:
    return tenant.agent().assertion(tenant.issuer, tenant.now, exp=int(tenant.now.timestamp()) + 300)


def used(tenant: Tenant, client_assertion: str) -> int:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": client_assertion}
    return tenant.ask(None, grant_type="client_credentials", **form).status_code


def live(two_tenants: TwoTenants, kept: Kept) -> list[bool]:
    tenants = (two_tenants.acme, two_tenants.rival)
    return [tenants[number].is_live(token, tenants[number].agent()) for number, token in kept.before]


def identity_restored(cluster: Cluster, *more: str) -> dict[str, Any]:
    environment = {
        "IDENTITY_DATABASE_URL": cluster.url(role="identity_app"),
        "IDENTITY_KEY_ENCRYPTION_KEY": base64.b64encode(bytes(32)).decode(),
    }
    answer = CliRunner().invoke(main, ["restored", *more, "--json"], env=environment)
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.output)
    return found


@pytest.mark.promise(1)
def test_what_ended_is_alive_again_after_a_restore_until_the_command_has_run(
    taken_back: tuple[Cluster, Kept],
) -> None:
    cluster, kept = taken_back
    with serving(cluster, kept.seeded) as two_tenants:
        acme, rival = two_tenants.acme, two_tenants.rival
        sam = {"subject_token": kept.sign_in, "subject_token_type": ID_TOKEN, "resource": ERP}
        # Why there is a command: Sam has left, and this assertion was used.
        assert live(two_tenants, kept) == [True, True, True]
        assert acme.exchange("ocr-bot", **sam).status_code == 200
        assert used(acme, kept.used[0]) == 200
        assert not acme.is_live(kept.after)

        told = identity_restored(cluster, "--at", kept.point)
        two_tenants.clock.forward(datetime.now(UTC).timestamp() - two_tenants.clock().timestamp() + IN_HALF_A_MINUTE)

        assert live(two_tenants, kept) == [False, False, False]
        assert not acme.is_live(kept.after)
        assert acme.exchange("ocr-bot", **sam).json()["error_description"].endswith("(subject_cut_off)")
        assert used(acme, kept.used[1]) == 401
        assert [tenant.is_live(tenant.task_token(person="dana")) for tenant in (acme, rival)] == [True, True]
        names_the_sources(told, kept)
        twice_is_once(cluster, kept, acme)
        the_source_s_full_cycle_ends_sam_again(acme)


def names_the_sources(told: dict[str, Any], kept: Kept) -> None:
    assert {each["slug"] for each in told["tenants"]} == {"acme", "rival"}
    assert {each["restored_to"] for each in told["tenants"]} == {str(datetime.fromisoformat(kept.point))}
    assert [source["name"] for each in told["tenants"] for source in each["sources"]] == ["directory"] * 2
    assert len(told["before_traffic"]) == 3


def twice_is_once(cluster: Cluster, kept: Kept, acme: Tenant) -> None:
    token = acme.task_token(person="dana")
    again = identity_restored(cluster, "--at", kept.point)
    assert [each["is_new"] for each in again["tenants"]] == [False, False]
    assert acme.is_live(token)


def the_source_s_full_cycle_ends_sam_again(acme: Tenant) -> None:
    headers = {"Authorization": f"Bearer {directory_token('acme')}"}
    assert acme.exchange("ocr-bot", person="sam").status_code == 200
    sam = f"/t/acme/scim/v2/Users/{acme.seeded.sam}"
    assert acme.http.delete(sam, headers=headers).status_code == 204
    assert acme.exchange("ocr-bot", person="sam").status_code == 400
