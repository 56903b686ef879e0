"""R002, Terraform State Corruption: its `risk.yaml`, and what protects against it."""
