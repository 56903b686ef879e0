"""B001, Competitive Pressure: its `risk.yaml`, and what protects against it."""
