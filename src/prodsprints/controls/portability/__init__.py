"""O002, Vendor Lock-in: its `risk.yaml`, and what protects against it."""
