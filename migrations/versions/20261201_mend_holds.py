"""mend holds

Agents that were suspended because nobody answered for them, and that ``hold_principals`` took for an administrator's, are
held no longer: who was suspended the same way afterwards is not, either. The audit log says which they are.
"""

from migrations import steps

revision = "mend_holds"
down_revision = "count_by_row"
branch_labels = None
depends_on = None

MEND = """
        UPDATE principals p SET is_held = false FROM batch b
         WHERE p.tenant_id = tenant AND p.id = b.id AND p.state = 'suspended' AND p.is_held
           AND (SELECT e.caller_kind = 'worker' AND e.reason = 'no_active_owner' FROM events e
                 WHERE e.tenant_id = tenant AND e.subject_id = b.id AND e.type LIKE '%.suspended'
                 ORDER BY e.id DESC LIMIT 1)
"""


def upgrade() -> None:
    steps.each_batch("principals", ("id",), MEND)


def downgrade() -> None:
    """The version before reads these rows as this one does."""
