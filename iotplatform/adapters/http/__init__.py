"""HTTP for devices: the protocol's messages, and a long poll for commands."""
