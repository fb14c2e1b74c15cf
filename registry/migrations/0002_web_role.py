"""The database role of the web: it owns nothing, so that row-level security can bind it.

Roles belong to the server, not to a database: another database of the same server may
have made it already, and going back leaves it there.
"""

from django.db import migrations

FORWARDS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_web') THEN
        CREATE ROLE iot_web NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database's migration was faster
END
$$;
GRANT iot_web TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO iot_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO iot_web;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO iot_web;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO iot_web;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO iot_web;
"""

BACKWARDS = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM iot_web;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE USAGE, SELECT ON SEQUENCES FROM iot_web;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM iot_web;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM iot_web;
REVOKE USAGE ON SCHEMA public FROM iot_web;
"""


class Migration(migrations.Migration):
    """Make the role and give it the rows, not the tables."""

    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
