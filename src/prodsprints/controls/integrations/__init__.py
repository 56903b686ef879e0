"""R008, Third-Party Service Dependencies: its `risk.yaml`, and what protects against it."""
