"""O001, Key Personnel Unavailability: its `risk.yaml`, and what protects against it."""
