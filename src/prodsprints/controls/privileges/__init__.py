"""S003, Privilege Escalation: its `risk.yaml`, and what protects against it."""
