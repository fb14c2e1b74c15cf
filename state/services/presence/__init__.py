"""Presence evidence from messages, and the connectivity judged from it."""
