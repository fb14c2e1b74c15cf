"""Pure judgments of the command plane: no database, no clock."""
