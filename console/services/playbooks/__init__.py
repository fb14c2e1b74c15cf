"""Playbooks: made, started, answered, and advanced step by step."""
