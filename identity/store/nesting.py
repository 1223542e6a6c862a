"""Membership as text of a statement: from a group downwards, never from a member upwards.

A statement reads the groups within one group, which are few. It does not read the groups that a person is in, to which
any source may add. LATERAL with OFFSET 0 and scalar subqueries leave the planner nothing but to look up one row after
the other; of EXISTS it may make a join that reads all of a tenant.
"""

from identity.model.nesting import NESTING_MAX

STATE = "(SELECT holder.state FROM principals holder WHERE holder.tenant_id = :tenant AND holder.id = {id})"

ACTIVE_USER = """(
    SELECT u.kind = 'user' AND u.state = 'active' FROM principals u WHERE u.tenant_id = :tenant AND u.id = {id})"""

IS_ACTIVE = f"{STATE.format(id='n.id')} = 'active'"
"""The condition that the group ``n`` of the walk is active: evaluated once for each group, not for each way to it."""

NESTED = f"""
    nested (id, depth) AS (
        SELECT {{group}}, 0
        UNION
        SELECT m.member_id, n.depth + 1 FROM nested n CROSS JOIN LATERAL (
            SELECT member_id FROM group_members
             WHERE tenant_id = :tenant AND nested_in = n.id AND {IS_ACTIVE} OFFSET 0) m
         WHERE n.depth < {NESTING_MAX})"""
"""A group and the groups to which only active ones lead; the callers check whether these are active."""


def is_member(group: str, member: str) -> str:
    """Return the condition that ``member`` is in the active ``group``, directly or through active groups within it."""
    return f"""EXISTS (
    WITH RECURSIVE {NESTED.format(group=group)}
    SELECT FROM nested n WHERE (
        SELECT true FROM group_members direct
         WHERE direct.tenant_id = :tenant AND direct.group_id = n.id AND direct.member_id = {member})
       AND {IS_ACTIVE})"""


def has_active_user(group: str) -> str:
    """Return the condition that an active user is in the active ``group``; the first that is found will do."""
    return f"""EXISTS (
    WITH RECURSIVE {NESTED.format(group=group)}
    SELECT FROM nested n CROSS JOIN LATERAL (
        SELECT m.member_id FROM group_members m
         WHERE m.tenant_id = :tenant AND m.group_id = n.id AND m.nested_in IS NULL
           AND {IS_ACTIVE} AND {ACTIVE_USER.format(id="m.member_id")}
         LIMIT 1) AS found)"""


def path_to(group: str, member: str) -> str:
    """Return one path from the active ``group`` down to ``member`` as a list of memberships; NULL where there is none.

    The member is looked for as in ``is_member``, level by level, and from where it was found one group above is enough
    for each level. A path that each group of the walk carried along would be there once for each way down to it.
    """
    return f"""(
    WITH RECURSIVE {NESTED.format(group=group)},
    path (group_id, member_id, depth) AS (
        (SELECT n.id, {member}, n.depth FROM nested n WHERE (
            SELECT true FROM group_members direct
             WHERE direct.tenant_id = :tenant AND direct.group_id = n.id AND direct.member_id = {member})
               AND {IS_ACTIVE} LIMIT 1)
        UNION ALL
        SELECT above.id, p.group_id, above.depth FROM path p CROSS JOIN LATERAL (
            SELECT n.id, n.depth FROM nested n WHERE n.depth = p.depth - 1 AND (
                SELECT true FROM group_members m
                 WHERE m.tenant_id = :tenant AND m.group_id = n.id AND m.member_id = p.group_id)
               AND {IS_ACTIVE} LIMIT 1) above
         WHERE p.depth > 0)
    SELECT jsonb_agg(jsonb_build_object(
            'g', p.group_id, 'm', p.member_id,
            'i', (SELECT m.id FROM group_members m
                   WHERE m.tenant_id = :tenant AND m.group_id = p.group_id AND m.member_id = p.member_id),
            'e', (SELECT g.epoch FROM principals g WHERE g.tenant_id = :tenant AND g.id = p.group_id)))
      FROM path p)"""


def memberships_hold(memberships: str) -> str:
    """Return the condition that no membership in a list ended, though the member may be back, and no group was cut."""
    return f"""NOT EXISTS (
    SELECT FROM jsonb_to_recordset({memberships}) AS kept (g uuid, m uuid, i uuid, e bigint)
     WHERE (SELECT m.id IS NOT DISTINCT FROM kept.i FROM group_members m
             WHERE m.tenant_id = :tenant AND m.group_id = kept.g AND m.member_id = kept.m) IS NOT TRUE
        OR (SELECT g.state = 'active' AND g.epoch = kept.e FROM principals g
             WHERE g.tenant_id = :tenant AND g.id = kept.g) IS NOT TRUE)"""


HAS_RESOURCE = """d.resource_end_count = (
    SELECT r.end_count FROM resources r WHERE r.tenant_id = :tenant AND r.audience = d.resource)"""
"""The condition that the resource server of the delegation ``d`` was not deleted since, or not registered anew."""

SUBJECT_OF = "s.tenant_id = :tenant AND s.id = ANY (ARRAY[d.subject_id, d.subject_group_id])"
"""The condition that the principal ``s`` is the person or the group of the delegation ``d``."""

DELEGATION_IS_IN_FORCE = f"""(d.ended_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > :now)
    AND {HAS_RESOURCE}
    AND d.actor_end_count = (
        SELECT a.end_count FROM principals a WHERE a.tenant_id = :tenant AND a.id = d.actor_id)
    AND d.subject_end_count = (
        SELECT s.end_count FROM principals s WHERE {SUBJECT_OF}))"""
"""The condition that the delegation ``d`` has not ended, whether that has been written of it or not."""

DELEGATION_IS_USABLE = f"""({DELEGATION_IS_IN_FORCE} AND {STATE.format(id="d.actor_id")} = 'active'
    AND (SELECT s.state FROM principals s WHERE {SUBJECT_OF}) = 'active')"""
"""The condition that the delegation ``d`` has not ended, and that neither of its parties is suspended."""


def covers(subject: str) -> str:
    """Return the condition that the delegation ``d`` is for this subject: the person, or a member of the group."""
    return (
        f"(d.subject_id = {subject} OR d.subject_group_id IS NOT NULL AND {is_member('d.subject_group_id', subject)})"
    )


CLIENT_IS_ACTIVE = """(c.revoked_at IS NULL
    AND (c.principal_id IS NULL OR (
        SELECT o.state = 'active' AND o.end_count = c.principal_end_count FROM principals o
         WHERE o.tenant_id = :tenant AND o.id = c.principal_id))
    AND (c.connection_id IS NULL OR (
        SELECT u.ended_at IS NULL FROM connections u WHERE u.tenant_id = :tenant AND u.id = c.connection_id))
    AND (c.audience IS NULL OR (
        SELECT v.end_count = c.audience_end_count FROM resources v
         WHERE v.tenant_id = :tenant AND v.audience = c.audience)))"""
"""The condition that the client ``c`` is not revoked, and that its principal, its connection and its audience stand."""

TASK_IS_OPEN = """(k.state = 'open'
    AND k.subject_epoch = (SELECT s.epoch FROM principals s WHERE s.tenant_id = :tenant AND s.id = k.subject_id)
    AND k.actor_epoch = (SELECT a.epoch FROM principals a WHERE a.tenant_id = :tenant AND a.id = k.actor_id))"""
"""The condition that the task ``k`` is open, and that neither its subject nor its opener was cut since."""
