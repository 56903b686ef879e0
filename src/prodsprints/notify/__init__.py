"""The outbox and the channels: what is put in a transaction is told exactly if it commits, by one way or the next."""
