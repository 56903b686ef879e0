"""The /v1 API: one module for each thing it speaks about."""
