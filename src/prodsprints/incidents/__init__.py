"""Risks that happened: declared, linked to what reproduces them, closed."""
