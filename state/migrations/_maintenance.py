"""SQL of the trigger that marks the places that are in maintenance now."""

# Whoever writes a place: people, jobs, the admin, raw SQL. What time alone changes is
# written by the sweep, which names the column itself.
SET_IN_FORCE = """
CREATE FUNCTION state_maintenance_in_force() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    NEW.is_in_force := NEW.from_at <= clock_timestamp()
        AND NEW.until > clock_timestamp();
    RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION state_maintenance_in_force() FROM PUBLIC;
CREATE TRIGGER state_maintenance_in_force
    BEFORE INSERT OR UPDATE OF from_at, until ON state_maintenanceplace
    FOR EACH ROW EXECUTE FUNCTION state_maintenance_in_force();
"""
NOT_SET = """
DROP TRIGGER state_maintenance_in_force ON state_maintenanceplace;
DROP FUNCTION state_maintenance_in_force();
"""
