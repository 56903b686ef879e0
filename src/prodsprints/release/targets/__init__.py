"""Where a release can go; `local` is this machine's node agent."""
