"""Everything of one machine, started in order, watched, and stopped in order: for `prodsprints up`."""
