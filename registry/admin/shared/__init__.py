"""What several pages of the admin share, in every app."""
