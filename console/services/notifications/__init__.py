"""Notification rules: who is told of an incident, when, and in which order."""
