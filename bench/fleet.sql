-- One tenant, one site, one product: every benchmark starts with these.
INSERT INTO registry_tenant (public_id, slug, name, created_at)
VALUES (gen_random_uuid(), 'bench', 'Bench', now());

INSERT INTO registry_site (public_id, tenant_id, slug, name, region, country, time_zone, created_at)
SELECT gen_random_uuid(), id, 'bench-01', 'Bench', 'Here', '', 'UTC', now() FROM registry_tenant;

INSERT INTO registry_product (public_id, tenant_id, slug, name, kind, attributes_schema, metrics, reported_keys, heartbeat_seconds, takes_commands, created_at)
SELECT gen_random_uuid(), id, 'bench-p1', 'Bench', 'standalone', '{}',
       '[{"name": "temperature", "unit": "°C", "dead_band": 0.5}, {"name": "battery", "unit": "%", "dead_band": 1}]',
       '[]', 60, true, now()
FROM registry_tenant;
