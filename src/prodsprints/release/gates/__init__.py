"""What a commit must pass before it may become an image."""
