"""Simulated devices over real MQTT connections, and the demo fleet.

A gateway relays for its children. A child's messages go to
``iot/v1/{gateway}/child/{uid}/…``; the platform publishes to the child on
``iot/v1/{gateway}/child/{uid}/down/command`` and ``…/down/desired``; the gateway
subscribes to ``iot/v1/{gateway}/child/+/down/#``.
"""
