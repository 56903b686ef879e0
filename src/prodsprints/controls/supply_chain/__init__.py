"""S002, Supply Chain Attacks: its `risk.yaml`, and what protects against it."""
