"""What people are told, and on which channel: the outbox, the channels, and who brings what in which order."""
