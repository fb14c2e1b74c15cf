"""Signing in: allauth, sessions, OpenID Connect."""
