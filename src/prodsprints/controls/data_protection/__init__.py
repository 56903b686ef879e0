"""S004, Data Breach: its `risk.yaml`, and what protects against it."""
