-- 10,000 incidents of the first tenant of many.sql, one in ten of them still open, each
-- with a member. Parameter: %(count)s.
SET session_replication_role = replica;

INSERT INTO console_incident (public_id, tenant_id, number, cause, object_kind, object_id,
    object_name, title, severity, status, regressed, resolution, first_evidence_at,
    opened_at, resolved_at, device_count, acknowledge_due_at, resolve_due_at)
SELECT gen_random_uuid(), d.tenant_id, n, 'device', 'device', d.uid, d.name,
    d.uid || ' is silent: last will', CASE WHEN n %% 30 = 0 THEN 'critical' ELSE 'warning' END,
    CASE WHEN n %% 10 = 0 THEN 'open' ELSE 'resolved' END, false, '',
    now() - n * interval '1 minute', now() - n * interval '1 minute',
    CASE WHEN n %% 10 <> 0 THEN now() - n * interval '30 seconds' END, 1,
    now() + n * interval '1 minute', now() + n * interval '2 minutes'
FROM generate_series(1, %(count)s) n
JOIN (SELECT *, row_number() OVER (ORDER BY id) AS place FROM registry_device
    WHERE tenant_id = (SELECT min(id) FROM registry_tenant)) d ON d.place = n;

INSERT INTO console_incidentevent (tenant_id, incident_id, at, kind, text)
SELECT tenant_id, id, opened_at, 'opened', '' FROM console_incident;

SET session_replication_role = origin;
