"""Verdicts as pure functions: no database, no clock."""
