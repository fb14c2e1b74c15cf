"""What `make` calls before anything is installed, and the checks and tests it runs."""
