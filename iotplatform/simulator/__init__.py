"""Simulated devices over real MQTT connections, and the demo fleet.

A gateway relays for its children: what a child says goes to
``iot/v1/{gateway}/child/{uid}/…``, the platform publishes for it to
``iot/v1/{gateway}/child/{uid}/down/command`` and ``…/down/desired``, and the gateway
subscribes to ``iot/v1/{gateway}/child/+/down/#``.
"""
