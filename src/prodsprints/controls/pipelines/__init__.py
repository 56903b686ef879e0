"""R006, CI/CD Pipeline Failures: its `risk.yaml`, and what protects against it."""
