"""S005, DDoS Attacks: its `risk.yaml`, and what protects against it."""
