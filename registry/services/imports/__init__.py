"""Importing devices by the hundred thousand: read lines, check them, insert in sets."""
