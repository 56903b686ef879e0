"""Evidence: signed statements in an append-only Merkle log per tenant, verifiable offline."""
