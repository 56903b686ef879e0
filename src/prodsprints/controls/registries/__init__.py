"""R004, Container Registry Unavailability: its `risk.yaml`, and what protects against it."""
