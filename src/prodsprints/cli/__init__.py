"""What a person types: parse, call /v1, render."""
