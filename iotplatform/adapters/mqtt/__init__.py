"""MQTT for devices: the bridge between the broker and the platform's services."""
