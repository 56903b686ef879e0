"""R003, Database Connection Pool Exhaustion: its `risk.yaml`, and what protects against it."""
