"""Ready ways to send through a guard, each for a client library that it imports and that is not installed with us."""
