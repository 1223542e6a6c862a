"""Changes to a group's members: two in a row equal one."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from identity.model.membership import MemberChange

PEOPLE = [UUID(int=number) for number in range(5)]
SOME = st.frozensets(st.sampled_from(PEOPLE))


@st.composite
def changes(draw: st.DrawFn) -> MemberChange:
    if draw(st.booleans()):
        return MemberChange(replace=True, add=draw(SOME))
    add = draw(SOME)
    return MemberChange(add=add, remove=draw(SOME) - add)


def applied(change: MemberChange, members: frozenset[UUID]) -> frozenset[UUID]:
    return ((frozenset() if change.replace else members) - change.remove) | change.add


@given(SOME, changes(), changes())
def test_one_change_then_another_is_the_one_change_that_then_makes(
    members: frozenset[UUID], first: MemberChange, second: MemberChange
) -> None:
    assert applied(first.then(second), members) == applied(second, applied(first, members))


@given(changes(), changes(), changes())
def test_it_does_not_matter_which_two_are_put_together_first(
    one: MemberChange, two: MemberChange, three: MemberChange
) -> None:
    for members in (frozenset[UUID](), frozenset(PEOPLE)):
        assert applied(one.then(two).then(three), members) == applied(one.then(two.then(three)), members)


@given(SOME, changes())
def test_an_empty_change_changes_nothing(members: frozenset[UUID], change: MemberChange) -> None:
    assert MemberChange().is_empty
    assert applied(MemberChange(), members) == members
    if change.is_empty:
        assert applied(change, members) == members
