"""Django's PostgreSQL backend with the wall: see ``base.py``."""
