"""Pure judgments of the console: no database, no clock."""
