"""The demo fleet: who and what it is, its past, and how it is loaded."""
