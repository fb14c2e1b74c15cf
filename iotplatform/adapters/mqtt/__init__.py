"""The MQTT door: the bridge between the broker and the platform's services."""
