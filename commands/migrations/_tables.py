"""SQL of the table of commands that has a partition a day: columns and indexes."""

EVENT_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    command_id bigint NOT NULL,
    at timestamptz NOT NULL,
    status varchar(16) NOT NULL,
    actor varchar(200) NOT NULL,
    cause text NOT NULL,
    detail jsonb
"""
EVENT_INDEXES = """
    CREATE INDEX commands_event_by_command ON commands_commandevent (command_id, at);
    CREATE INDEX commands_event_by_device ON commands_commandevent (device_id, at);
"""
