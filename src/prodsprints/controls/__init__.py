"""One folder per risk: its `risk.yaml`, and all that protects against it."""
