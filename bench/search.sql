-- What the devices of many.sql report: every table that a document is made of has rows.
-- Triggers are off, because the index is built afterwards.
SET session_replication_role = replica;

UPDATE registry_product SET
    attributes_schema = '{"properties": {"battery_rev": {"searchable": true}}}',
    metrics = '[{"name": "temperature", "unit": "°C", "dead_band": 0.5}, {"name": "battery", "unit": "%%", "dead_band": 1}, {"name": "rssi", "unit": "dBm", "dead_band": 2}]',
    reported_keys = '["modem.fw"]';

UPDATE registry_device SET attributes = jsonb_build_object(
    'battery_rev', chr(65 + (id %% 5)::int), 'colour', 'red');

INSERT INTO state_presence (device_id, tenant_id, last_seen_at, last_activity_at,
    session, seq_window, repeats, left_how, left_session, clock_skew, connectivity,
    cause, since, disconnects_72h, activity_bucket)
SELECT id, tenant_id, now(), now(), 's', 0, 0, '', '', false, c,
    CASE c WHEN 'offline' THEN 'last_will' WHEN 'suspect' THEN 'missed_heartbeats' ELSE '' END,
    date_trunc('hour', now()) - id %% 700 * interval '61 minutes', id * 7 %% 11,
    date_trunc('hour', now() - id %% 100 * interval '1 hour')
FROM (SELECT *, CASE WHEN id %% 13 = 0 THEN 'offline' WHEN id %% 31 = 0 THEN 'suspect'
    ELSE 'online' END AS c FROM registry_device) d;

INSERT INTO state_twin (device_id, tenant_id, desired, desired_version, desired_asks, reported,
    reported_version, reported_session, delta, firmware, config_version)
SELECT id, tenant_id, '{}', 0, '{}', jsonb_build_object('modem', jsonb_build_object('fw',
        '2.' || id %% 17), 'uptime', id), 0, '',
    CASE WHEN id %% 20 = 0 THEN '{"a": 1}'::jsonb ELSE '{}' END,
    '1.' || id %% 3 || '.' || id * 31 %% 25, 'c' || id %% 4
FROM registry_device;

INSERT INTO state_telemetrysummary (device_id, tenant_id, latest, indexed)
SELECT id, tenant_id, '{}', jsonb_build_object('battery', id * 37 %% 101,
    'rssi', -50 - id * 11 %% 60, 'temperature', (id * 13 %% 400) / 10.0)
FROM registry_device;

INSERT INTO state_risk (device_id, tenant_id, score, reasons, at)
SELECT id, tenant_id, id %% 71,
    CASE WHEN id %% 71 > 40 THEN
        '[{"name": "flapping", "points": 15, "text": ""}, {"name": "alarms", "points": 20, "text": ""}]'::jsonb
    ELSE '[]' END, now()
FROM registry_device;

INSERT INTO state_alarm (public_id, tenant_id, device_id, code, severity, state, message,
    count, raised_at, last_at, flaps)
SELECT gen_random_uuid(), tenant_id, id, 'hot',
    CASE WHEN id %% 30 = 0 THEN 'critical' ELSE 'warning' END, 'raised', '', 1,
    now() - id %% 500 * interval '1 hour', now(), 0
FROM registry_device WHERE id %% 10 = 0;

INSERT INTO commands_command (public_id, tenant_id, device_id, name, command_class, params,
    policy, created_at, status, status_since, waits_for, failure_class, late, expires_at,
    adapter, attempt_count, uncounted_attempts, due_at,
    sent_at, received_at, succeeded_at, ended_at)
SELECT gen_random_uuid(), tenant_id, id, 'reboot', 'idempotent', '{}', '{}',
    now() - interval '2 days', CASE WHEN k THEN 'succeeded' ELSE 'sent' END, now(),
    '', '', false, now() + interval '2 days', 'mqtt', 1, 0,
    CASE WHEN NOT k THEN now() END, now() - id %% 50 * interval '1 hour',
    CASE WHEN k THEN now() END, CASE WHEN k THEN now() END, CASE WHEN k THEN now() END
FROM (SELECT *, id %% 40 <> 0 AS k FROM registry_device) d WHERE id %% 5 = 0;

SET session_replication_role = origin;
