"""Changes of many devices at once: edits, and their undoing."""
