"""Serializers of the command plane, by noun."""
