"""O005, Data Loss: its `risk.yaml`, and what protects against it."""
