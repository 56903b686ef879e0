"""Risk documents in Markdown: read as claims, and written back with what is proven beside what is claimed."""

from prodsprints.register.markdown.parse import parse
from prodsprints.register.markdown.render import render
from prodsprints.register.markdown.values import ParsedDocument, ParsedRisk, ParsedRow

__all__ = ["ParsedDocument", "ParsedRisk", "ParsedRow", "parse", "render"]
