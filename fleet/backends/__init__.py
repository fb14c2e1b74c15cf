"""Index backends: each compiles the one syntax tree and keeps the documents."""
