"""R005, Secrets Management Failure: its `risk.yaml`, and what protects against it."""
