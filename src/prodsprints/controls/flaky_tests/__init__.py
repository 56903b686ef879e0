"""R007, Flaky Test Failures: its `risk.yaml`, and what protects against it."""
