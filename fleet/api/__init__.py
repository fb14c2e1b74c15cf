"""REST API of search, cohorts, and new jobs."""
