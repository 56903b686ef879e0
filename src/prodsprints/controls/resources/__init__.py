"""R009, Resource Exhaustion: its `risk.yaml`, and what protects against it."""
