"""B002, Customer Churn: its `risk.yaml`, and what protects against it."""
