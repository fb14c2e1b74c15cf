"""What a page shows, built from the selectors of the other apps."""
