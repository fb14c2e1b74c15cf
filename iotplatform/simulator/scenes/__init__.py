"""Scenes: troubles that simulated devices play for some minutes, to be seen by hand."""
