"""R011, Certificate Expiration: its `risk.yaml`, and what protects against it."""
