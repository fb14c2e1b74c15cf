"""The adapters by which devices connect; they carry the protocol of common/messages."""
