"""The OpenAPI document: how it is made, and its examples."""
