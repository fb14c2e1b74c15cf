"""The platform's own metrics, readiness and status."""
