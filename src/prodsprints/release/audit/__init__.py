"""What a repository is, read from its files with file and line; nothing of it is ever run here."""
