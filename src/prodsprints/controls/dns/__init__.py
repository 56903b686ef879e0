"""R010, DNS Resolution Issues: its `risk.yaml`, and what protects against it."""
