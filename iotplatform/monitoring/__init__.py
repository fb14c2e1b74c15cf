"""What the platform says about itself: metrics, readiness, its own page of figures."""
