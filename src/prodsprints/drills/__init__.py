"""Experiments that break one real thing on purpose, with the control and without it."""
