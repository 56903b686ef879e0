"""A commit as a reproducible OCI image, and its verified way back to files."""
