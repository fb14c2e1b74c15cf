"""SQL of the tables of state: those with a partition a day, and how hot ones lie."""

TRANSITION_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    at timestamptz NOT NULL,
    moved_from varchar(8) NOT NULL,
    moved_to varchar(8) NOT NULL,
    cause varchar(24) NOT NULL,
    session varchar(64) NOT NULL,
    is_abnormal boolean NOT NULL,
    cause_from varchar(24) DEFAULT '' NOT NULL
"""
TRANSITION_INDEXES = """
    CREATE INDEX state_transition_by_device
        ON state_connectivitytransition (device_id, at);
    CREATE INDEX state_transition_abnormal
        ON state_connectivitytransition (device_id, at) WHERE is_abnormal;
    CREATE INDEX state_transition_by_time ON state_connectivitytransition (at);
"""
# Known by its bucket: a number of its own cost a second index.
ROLLUP_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    metric varchar(64) NOT NULL,
    step smallint NOT NULL,
    at timestamptz NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    total double precision NOT NULL,
    count integer NOT NULL,
    last double precision NOT NULL,
    last_at timestamptz NOT NULL
"""
ROLLUP_INDEXES = """
    CREATE UNIQUE INDEX state_rollup_bucket
        ON state_telemetryrollup (device_id, metric, step, at);
"""
TWIN_CHANGE_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    at timestamptz NOT NULL,
    side varchar(8) NOT NULL,
    version bigint NOT NULL,
    changes jsonb NOT NULL
"""
TWIN_CHANGE_INDEXES = """
    CREATE INDEX state_twinchange_by_device ON state_twinchange (device_id, at);
"""
ALARM_CHANGE_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    alarm_id bigint NOT NULL,
    at timestamptz NOT NULL,
    move varchar(12) NOT NULL,
    reason varchar(16) NOT NULL,
    code varchar(64) NOT NULL,
    severity varchar(8) NOT NULL,
    count integer NOT NULL,
    message text NOT NULL,
    by_id bigint
"""
ALARM_CHANGE_INDEXES = """
    CREATE INDEX state_alarmchange_by_device ON state_alarmchange (device_id, at);
    CREATE INDEX state_alarmchange_by_alarm ON state_alarmchange (alarm_id, at);
"""
# Room in each page for the updates of its rows, and early vacuuming of their remains.
HOT_TABLES = """
    ALTER TABLE state_presence SET (
        fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
    ALTER TABLE state_telemetrysummary SET (
        fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
    ALTER TABLE state_twin SET (fillfactor = 80);
    ALTER TABLE state_listeningslot SET (fillfactor = 20);
"""
