"""R001.5: use against limit for each provider, the day a limit is reached, and the request to raise it before."""
