-- Many devices of two tenants, as after an import: 99 of 100 belong to the first.
-- Parameter: %(count)s. Triggers are off, because their rows are not measured.
SET session_replication_role = replica;

INSERT INTO registry_tenant (public_id, slug, name, created_at)
SELECT gen_random_uuid(), slug, slug, now() FROM unnest(ARRAY['large', 'small']) AS slug;

INSERT INTO registry_site (public_id, tenant_id, slug, name, region, country, time_zone, created_at)
SELECT gen_random_uuid(), t.id, 'site-' || n, 'Site ' || n, 'Region ' || n %% 20, 'CN', 'UTC', now()
FROM registry_tenant t, generate_series(0, 199) n WHERE t.slug IN ('large', 'small');

INSERT INTO registry_product (public_id, tenant_id, slug, name, kind, attributes_schema, metrics, reported_keys, heartbeat_seconds, takes_commands, created_at)
SELECT gen_random_uuid(), t.id, 'product-' || n, 'Product ' || n, 'standalone', '{}', '[]', '[]', 60, true, now()
FROM registry_tenant t, generate_series(0, 9) n WHERE t.slug IN ('large', 'small');

INSERT INTO registry_device (public_id, uid, tenant_id, site_id, product_id, name, serial, kind, adapter, lifecycle, tags, attributes, created_at, updated_at)
SELECT gen_random_uuid(), 'dev-' || lpad(n::text, 7, '0'), t.id, s.id, p.id,
    'Device ' || n, 'SN' || lpad(n::text, 8, '0'), 'standalone',
    CASE WHEN n %% 10 = 0 THEN 'http' ELSE 'mqtt' END,
    CASE WHEN n %% 5000 = 0 THEN 'in_repair' WHEN n %% 50 = 0 THEN 'retired' ELSE 'active' END,
    ARRAY['row-' || n %% 500], '{}', now() - n * interval '1 second', now()
FROM generate_series(1, %(count)s) n
JOIN registry_tenant t ON t.slug = CASE WHEN n %% 100 = 0 THEN 'small' ELSE 'large' END
JOIN registry_site s ON s.tenant_id = t.id AND s.slug = 'site-' || n %% 200
JOIN registry_product p ON p.tenant_id = t.id AND p.slug = 'product-' || n %% 10;

SET session_replication_role = origin;
