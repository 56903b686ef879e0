"""O004, Capacity Planning Failures: its `risk.yaml`, and what protects against it."""
