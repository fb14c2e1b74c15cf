"""What the database itself enforces: row security, and the roles of processes."""
