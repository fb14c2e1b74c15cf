"""The query language: Lucene's syntax, typed fields, one tree for every index."""
