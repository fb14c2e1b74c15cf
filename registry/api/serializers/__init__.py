"""Serializers of the registry, by noun."""
