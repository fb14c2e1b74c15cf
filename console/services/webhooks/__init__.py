"""Webhooks: where events go, in which order, signed, and to no forbidden address."""
