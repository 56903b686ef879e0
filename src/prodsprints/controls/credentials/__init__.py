"""S001, Credential Exposure: its `risk.yaml`, and what protects against it."""
