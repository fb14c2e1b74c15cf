"""The device doors: the adapters that carry the protocol (common/messages.py)."""
