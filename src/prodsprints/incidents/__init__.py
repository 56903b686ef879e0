"""A risk that happened: declared, linked to the drill that reproduces it, closed with what came of it."""

from prodsprints.incidents.commands import close, declare, link
from prodsprints.incidents.listing import get, incidents
from prodsprints.incidents.records import Action, Incident

__all__ = ["Action", "Incident", "close", "declare", "get", "incidents", "link"]
