"""Scenarios of diagnoses by where the fault lies, written from real cases."""

from tests.state.diagnosis_scenarios import of_device, of_network, of_platform, unclear
from tests.state.diagnosis_scenarios.shape import Scenario

__all__ = ["SCENARIOS", "Scenario"]

SCENARIOS = [
    *of_device.SCENARIOS,
    *of_network.SCENARIOS,
    *of_platform.SCENARIOS,
    *unclear.SCENARIOS,
]
