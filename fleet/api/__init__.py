"""REST of the fleet index, cohorts, and the making of jobs."""
