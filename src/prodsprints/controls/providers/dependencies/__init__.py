"""What the platform depends on: what every process' guards see of its providers, and leaving one alone by hand."""
