"""When a task ends: as asked, else after an hour, and never after what bounds it."""

from datetime import UTC, datetime, timedelta

import pytest

from identity.model.task import Bound, Budget, budget_document, end_of_task

NOW = datetime(2026, 11, 24, 9, 0, 0, 500_000, tzinfo=UTC)


def bound(seconds: int) -> Bound:
    return Bound(f"a bound of {seconds}", NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("asked", "bounds", "expected"),
    [
        (None, (86_400,), 3600),
        (None, (86_400, 3599), 3599),
        (None, (60, 600), 60),
        (1, (60,), 1),
        (60, (60,), 60),
        (86_400, (86_400, 90_000), 86_400),
    ],
)
def test_a_task_ends_as_asked_within_its_bounds(asked: int | None, bounds: tuple[int, ...], expected: int) -> None:
    assert end_of_task(asked, list(map(bound, bounds)), NOW) == NOW + timedelta(seconds=expected)


@pytest.mark.parametrize(("asked", "bounds", "first"), [(61, (60,), 60), (3600, (86_400, 600, 900), 600)])
def test_the_first_bound_that_is_passed_is_named(asked: int, bounds: tuple[int, ...], first: int) -> None:
    assert end_of_task(asked, list(map(bound, bounds)), NOW) == bound(first)


def test_a_budget_tells_the_limits_that_there_are() -> None:
    assert budget_document(Budget()) == {}
    assert budget_document(Budget(tokens=3, depth=2)) == {"tokens": 3, "depth": 2}
