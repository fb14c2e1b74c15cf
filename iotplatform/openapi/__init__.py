"""The OpenAPI document: its schema class, and its examples."""
