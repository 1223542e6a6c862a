"""Checks of the catalogue before anything is served: rights by which one tenant's request would reach another tenant's
rows in spite of row-level security.

The login is looked at, not only the role that a session has taken: ``SET ROLE NONE`` gives back the login's rights.
"""

from sqlalchemy import Engine

from identity.model.errors import Unavailable
from identity.store.transaction import untenanted

# The login and every role that it may become, whether by inheritance or by SET ROLE. A superuser may become any role.
LOGIN = """
WITH login AS (SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = session_user),
held AS (
    SELECT r.*, r.oid = l.oid AS is_login, 'the login ' || l.rolname
           || CASE WHEN r.oid = l.oid THEN '' ELSE ' may become ' || r.rolname || ', which' END AS subject
      FROM pg_roles r CROSS JOIN login l
     WHERE r.oid = l.oid
        OR (NOT l.rolsuper AND r.rolname <> 'pg_database_owner' AND pg_has_role(l.oid, r.oid, 'MEMBER'))
)
SELECT h.subject || ' ' || found.attribute
  FROM held h CROSS JOIN LATERAL (VALUES
       (h.rolsuper, 'is a superuser'), (h.rolbypassrls, 'bypasses row-level security'),
       (h.rolcreaterole, 'may create roles'), (h.rolcreatedb, 'may create databases'),
       (h.rolreplication, 'may replicate')) AS found (holds, attribute)
 WHERE found.holds
UNION ALL
SELECT 'the login ' || l.rolname || ' is a member of ' || h.rolname FROM held h CROSS JOIN login l
 WHERE NOT h.is_login AND h.rolname NOT IN ('identity_app', 'identity_relay')
UNION ALL
SELECT h.subject || ' may grant the role ' || m.roleid::regrole
  FROM pg_auth_members m JOIN held h ON h.oid = m.member WHERE m.admin_option
UNION ALL
SELECT h.subject || ' owns ' || min(pg_describe_object(d.classid, d.objid, d.objsubid))
       || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END
  FROM pg_shdepend d JOIN held h ON h.oid = d.refobjid
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
   AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
 GROUP BY h.subject
UNION ALL
SELECT 'the login ' || rolname || ' may create objects in the database ' || current_database()
  FROM login WHERE NOT rolsuper AND has_database_privilege(oid, current_database(), 'CREATE')
UNION ALL
SELECT 'the login ' || rolname || ' may create objects in the schema ' || current_schema()
  FROM login WHERE NOT rolsuper AND has_schema_privilege(oid, current_schema(), 'CREATE')
"""

# What an extension owns is not looked at: it was made by a superuser, or by the owner of the database, who trusts it.
# Partitions need no policy: who names one sees nothing, and who names its table meets the policies of the table.
TABLES = """
WITH of_extensions AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT 'the policy ' || p.policyname || ' shows more than one tenant of ' || p.tablename
  FROM pg_policies p
 WHERE p.schemaname = current_schema() AND p.permissive = 'PERMISSIVE'
   AND (p.tablename, p.policyname, p.cmd) <> ('tenants', 'registry', 'SELECT')
   AND (p.tablename, p.policyname, p.roles) <> ('outbox', 'relay', '{identity_relay}')
   AND EXISTS (SELECT FROM unnest(p.roles) AS r (name)
                WHERE r.name = 'public' OR pg_has_role(session_user, r.name, 'MEMBER'))
   AND (p.qual IS DISTINCT FROM '(tenant_id = (current_setting(''app.tenant''::text))::uuid)'
        OR p.with_check IS DISTINCT FROM p.qual)
UNION ALL
SELECT 'row-level security is not forced on ' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
   AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND (c.relispartition
            OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polwithcheck IS NOT NULL)))
   AND NOT EXISTS (SELECT FROM of_extensions e WHERE (e.classid, e.objid) = ('pg_class'::regclass, c.oid))
UNION ALL
SELECT 'the view or definer function ' || found.name || ' does not ask with the rights of its reader'
  FROM (SELECT c.relname AS name, c.oid AS objid, 'pg_class'::regclass AS classid
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema()
           AND (c.relkind = 'm' OR (c.relkind = 'v' AND NOT coalesce(c.reloptions, '{}') @> '{security_invoker=true}'))
        UNION ALL
        SELECT p.proname, p.oid, 'pg_proc'::regclass FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = current_schema() AND p.prosecdef) AS found
 WHERE NOT EXISTS (SELECT FROM of_extensions e WHERE (e.classid, e.objid) = (found.classid, found.objid))
"""


def check_isolation(engine: Engine) -> None:
    """Refuse to start unless the catalogue says that row-level security binds the login and all that it may become.

    Raises ``Unavailable``, which names every fault, and ``sqlalchemy.exc.OperationalError`` without a database.
    """
    with untenanted(engine) as connection:
        faults = [*connection.exec_driver_sql(LOGIN).scalars(), *connection.exec_driver_sql(TABLES).scalars()]
    if faults:
        raise Unavailable("the tenants are not isolated: " + "; ".join(faults))
