"""The device doors: the protocol (messages), and the adapters that carry it."""
