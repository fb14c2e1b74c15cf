"""What pages show that is read from several apps at once."""
