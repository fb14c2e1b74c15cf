"""Imports of very many devices: read lines, check them, insert them in sets."""
