"""What a schema is, as text: columns, constraints, indexes, triggers, functions, policies, rights; the same on every
version of PostgreSQL.
"""

from hashlib import sha256

import psycopg

OF_TABLES = """
WITH ours AS (SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.reloptions, c.relrowsecurity,
                     c.relforcerowsecurity, n.nspname
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') OR n.nspname = 'pgmq' AND c.relkind IN ('r', 'S'))
SELECT format('table %s: %s %s %s', relname, reloptions, relrowsecurity, relforcerowsecurity)
  FROM ours WHERE nspname = 'public' AND relname <> 'alembic_version'
UNION ALL
SELECT format('column %s.%s %s: %s null=%s default=%s %s', relname, lpad(row_number() OVER (
           PARTITION BY relname ORDER BY attnum)::text, 2, '0'), attname, format_type(atttypid, atttypmod),
       NOT attnotnull, pg_get_expr(adbin, adrelid), attoptions)
  FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = ours.oid AND adnum = attnum
 WHERE nspname = 'public' AND relname <> 'alembic_version'
UNION ALL
SELECT format('constraint %s.%s: %s validated=%s', relname, conname, pg_get_constraintdef(k.oid), convalidated)
  FROM ours JOIN pg_constraint k ON conrelid = ours.oid AND contype <> 'n' WHERE nspname = 'public'
UNION ALL
SELECT format('index %s valid=%s', pg_get_indexdef(indexrelid), indisvalid)
  FROM ours JOIN pg_index ON indrelid = ours.oid WHERE nspname = 'public'
UNION ALL
SELECT format('trigger %s: %s', relname, pg_get_triggerdef(t.oid))
  FROM ours JOIN pg_trigger t ON tgrelid = ours.oid AND NOT tgisinternal
UNION ALL
SELECT format('function %s: %s', proname, prosrc) FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace OR pronamespace = to_regnamespace('pgmq') AND proname = 'queue_wake'
UNION ALL
SELECT format('policy %s.%s: %s %s %s %s', tablename, policyname, cmd, roles, qual, with_check) FROM pg_policies
UNION ALL
SELECT format('right %s.%s: %s to %s', nspname, relname, privilege_type, grantee::regrole)
  FROM ours CROSS JOIN aclexplode(relacl) WHERE grantee <> relowner
UNION ALL
SELECT format('right %s.%s.%s: %s to %s', nspname, relname, attname, privilege_type, grantee::regrole)
  FROM ours JOIN pg_attribute ON attrelid = ours.oid CROSS JOIN aclexplode(attacl) WHERE grantee <> relowner
"""


def catalogue(owner_url: str) -> str:
    """Return the schema's text, a line for each thing in it."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        lines = sorted(" ".join(line.split()) for (line,) in connection.execute(OF_TABLES))
    return "\n".join(lines) + "\n"


def digest(text: str) -> str:
    """Return a short name of a text."""
    return sha256(text.encode()).hexdigest()[:16]
