"""Raising, holding back and closing alarms."""
