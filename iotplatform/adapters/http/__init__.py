"""The device door over HTTP: the protocol's messages, and a long poll for commands."""
