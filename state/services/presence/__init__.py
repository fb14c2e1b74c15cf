"""What devices were heard to say, and the connectivity judged from it."""
