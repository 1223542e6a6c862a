"""Changes to the members of a group, as sets: their cost depends on the change, never on the group."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A change of a group's members. With ``replace`` all present ones are removed first."""

    replace: bool = False
    add: frozenset[UUID] = frozenset()
    remove: frozenset[UUID] = frozenset()

    def then(self, later: "MemberChange") -> "MemberChange":
        """Return the one change that equals this one followed by ``later``."""
        if later.replace:
            return later
        return MemberChange(
            replace=self.replace,
            add=(self.add - later.remove) | later.add,
            remove=frozenset() if self.replace else (self.remove - later.add) | later.remove,
        )

    @property
    def is_empty(self) -> bool:
        """True when applying the change can alter nothing."""
        return not (self.replace or self.add or self.remove)
