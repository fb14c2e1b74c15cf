"""SQL of the space tree: who keeps its paths, and what refuses a loop."""

# A path is made of keys, so that a rename moves nothing. One trigger keeps the paths,
# by what stands in parent_id when a statement is over: it walks up from every space
# that the statement moved, or that is below one, and sets all of them at once. In a
# loop there is no path that is one longer than its parent's, all the way round. Two moves that would make one
# together wait for each other.
CREATE = """
CREATE FUNCTION registry_space_path(path ltree) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
    SELECT string_agg(s.slug, '/' ORDER BY step.place)
    FROM unnest(string_to_array(ltree2text(path), '.')::bigint[])
        WITH ORDINALITY AS step(id, place)
    JOIN registry_space s ON s.id = step.id
$body$;

CREATE FUNCTION registry_space_own_path() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    -- Nobody else writes it: deeper than one is the trigger below.
    IF TG_OP = 'INSERT' THEN
        NEW.path := NEW.id::text::ltree;
    ELSIF pg_trigger_depth() = 1 THEN
        NEW.path := OLD.path;
    END IF;
    RETURN NEW;
END $body$;
CREATE TRIGGER registry_space_own_path BEFORE INSERT OR UPDATE ON registry_space
    FOR EACH ROW EXECUTE FUNCTION registry_space_own_path();

CREATE FUNCTION registry_space_paths() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
DECLARE
    moved bigint[];
    above ltree[];
    owner bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(n.id), array_agg(n.path) INTO moved, above
        FROM new_rows n WHERE n.parent_id IS NOT NULL;
    ELSE
        SELECT array_agg(n.id), array_agg(o.path) INTO moved, above
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.parent_id IS DISTINCT FROM o.parent_id;
    END IF;
    IF moved IS NULL THEN
        RETURN NULL;
    END IF;
    FOR owner IN SELECT DISTINCT n.tenant_id FROM new_rows n ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(1936744307, owner::integer);
    END LOOP;
    WITH RECURSIVE up AS (
        SELECT s.id, s.parent_id, s.id::text::ltree AS path, ARRAY[s.id] AS seen
        FROM registry_space s WHERE s.id = ANY(moved) OR s.path <@ above
        UNION ALL
        SELECT up.id, p.parent_id, p.id::text::ltree || up.path, up.seen || p.id
        FROM up JOIN registry_space p ON p.id = up.parent_id
        WHERE p.id <> ALL(up.seen)
    )
    UPDATE registry_space s SET path = up.path
    FROM up WHERE up.id = s.id AND up.parent_id IS NULL AND s.path <> up.path;
    IF EXISTS (
        SELECT FROM registry_space s LEFT JOIN registry_space p ON p.id = s.parent_id
        WHERE s.id = ANY(moved)
            AND s.path IS DISTINCT FROM COALESCE(p.path, ''::ltree) || s.id::text
    ) THEN
        RAISE EXCEPTION 'a space is not inside itself' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'registry_space_has_no_loop',
            TABLE = 'registry_space', COLUMN = 'parent_id';
    END IF;
    RETURN NULL;
END $body$;
CREATE TRIGGER registry_space_paths_new AFTER INSERT ON registry_space
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION registry_space_paths();
CREATE TRIGGER registry_space_paths_moved AFTER UPDATE ON registry_space
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION registry_space_paths();
REVOKE ALL ON FUNCTION registry_space_own_path() FROM PUBLIC;
REVOKE ALL ON FUNCTION registry_space_paths() FROM PUBLIC;
"""
DROP = """
DROP TRIGGER IF EXISTS registry_space_paths_moved ON registry_space;
DROP TRIGGER IF EXISTS registry_space_paths_new ON registry_space;
DROP TRIGGER IF EXISTS registry_space_own_path ON registry_space;
DROP FUNCTION IF EXISTS registry_space_paths();
DROP FUNCTION IF EXISTS registry_space_own_path();
DROP FUNCTION IF EXISTS registry_space_path(ltree);
"""
