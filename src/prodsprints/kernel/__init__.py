"""What every room may use: settings, clock, errors, redaction; small, and nothing else."""
