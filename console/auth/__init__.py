"""Sign-in: allauth, sessions, OpenID Connect."""
