"""R001, Provider API Rate Limits: its `risk.yaml`, and what protects against it."""
