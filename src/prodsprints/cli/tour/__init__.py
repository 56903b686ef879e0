"""The example, played through the public API: what `make run` shows."""
