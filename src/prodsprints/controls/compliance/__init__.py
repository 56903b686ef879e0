"""O003, Compliance Violations: its `risk.yaml`, and what protects against it."""
