"""What `make` runs before anything is installed, and its checks and tests."""
