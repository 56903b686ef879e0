"""B003, Regulatory Changes: its `risk.yaml`, and what protects against it."""
