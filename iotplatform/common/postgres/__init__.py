"""Django's PostgreSQL backend with the tenant scope: see ``base.py``."""
