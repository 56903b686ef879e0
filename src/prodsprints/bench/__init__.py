"""The measured figures: each benchmark runs the real path beside its named peers."""
