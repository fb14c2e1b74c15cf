"""Every write of incidents: the sweep, and what people do."""
