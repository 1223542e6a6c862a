"""index openers

An agent lists the tasks that it opened, in the order of opening, whatever else it and its tenant have.
"""

from migrations import steps

revision = "index_openers"
down_revision = "narrow_delegation_indexes"
branch_labels = None
depends_on = None

BEFORE, AFTER = "ix_tasks_actor", "ix_tasks_opener"


def upgrade() -> None:
    steps.create_index(AFTER, "tasks (tenant_id, actor_id, txn)")
    steps.drop_index(BEFORE)


def downgrade() -> None:
    steps.create_index(BEFORE, "tasks (tenant_id, actor_id) WHERE actor_id IS NOT NULL")
    steps.drop_index(AFTER)
