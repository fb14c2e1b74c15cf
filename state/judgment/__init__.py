"""Verdicts and documents as pure functions: no database, no clock."""
