"""Calls that survive: one composed policy around every outgoing call; needs none of the rest."""
