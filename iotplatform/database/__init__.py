"""Row security, roles of processes: what the database itself enforces."""
