"""A risk document as one HTML file: readable without a server, printable, and inert whatever its text says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from prodsprints.register.markdown.render import render
from prodsprints.register.markdown.values import ParsedDocument
from prodsprints.register.model import Risk

if TYPE_CHECKING:
    from prodsprints.register.assessment import Assessment

# Characters of no meaning hold the place of a status while Markdown becomes HTML; a document's own become spaces.
_OPEN, _BETWEEN, _CLOSE = "\ue000", "\ue001", "\ue002"
_PLACE = re.compile(f"{_OPEN}([a-z]+){_BETWEEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_SPACES = str.maketrans(dict.fromkeys((_OPEN, _BETWEEN, _CLOSE), " "))  # as long as before: the places stay true
_LITERAL = re.compile(r"([\\`*_{}\[\]<>()#+.!|~&-])")

_MOST_FORMATTED = 250_000  # characters; hostile ones take 25 µs each

_STYLE = """
:root{color-scheme:light dark;--ink:#1b262d;--ground:#fff;--muted:#5a6872;--line:#d5dde2;
  --good:#1a6b3c;--bad:#a5304a;--wait:#7a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e7edf1;--ground:#0f1519;--muted:#94a4ae;--line:#2b3941;
  --good:#6fd39a;--bad:#ff8fa3;--wait:#f1dfa5}}
body{font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
  color:var(--ink);background:var(--ground);max-width:52rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1,h2,h3,h4{line-height:1.25;break-after:avoid}
h2{border-bottom:1px solid var(--line);padding-bottom:.2rem;margin-top:2.4rem}
pre{background:color-mix(in srgb,var(--ink) 6%,transparent);padding:.8rem;overflow-x:auto;break-inside:avoid}
code{font-size:.9em}
table{border-collapse:collapse}
td,th{border:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
li{break-inside:avoid}
header{color:var(--muted);border-bottom:1px solid var(--line);margin-bottom:1rem}
.status{font-size:.85em;color:var(--muted);border-left:3px solid currentColor;padding-left:.4rem;margin-left:.3rem}
.proven,.attested{color:var(--good)}
.failing,.contradicted,.invalid{color:var(--bad)}
.stale{color:var(--wait)}
@media print{body{margin:0;max-width:none;font-size:10pt}a{color:inherit;text-decoration:none}}
"""


def html(document: ParsedDocument, risks: Iterable[Risk], assessment: Assessment) -> str:
    """The document with today's statuses as a page of its own.

    Nothing in it is fetched or run: what HTML the text holds is shown as text, and the page's policy forbids the rest.
    """
    counts = assessment.counts
    head = (
        f"{counts.mitigations} mitigations in {assessment.environment} on {assessment.now:%Y-%m-%d %H:%M} UTC: "
        f"{counts.proven} proven, {counts.attested} attested, {counts.unproven} unproven, {counts.stale} stale, "
        f"{counts.failing} failing, {counts.contradicted} contradicted, {counts.invalid} invalid."
    )
    text = render(_clean(document), risks, assessment, noted=_held_place)
    body = _formatted(text) if len(text) <= _MOST_FORMATTED else f"<pre>{escape(text)}</pre>\n"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Risk register, {escape(assessment.environment)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<header><p>{escape(head)}</p></header>\n<main>\n{_PLACE.sub(_shown, body)}</main>\n</body>\n</html>\n"
    )


def _formatted(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").render(text))


def _clean(document: ParsedDocument) -> ParsedDocument:
    if document.text == (text := document.text.translate(_SPACES)):
        return document
    return replace(document, text=text)


def _held_place(kind: str, words: str) -> str:
    return f" {_OPEN}{kind}{_BETWEEN}{_LITERAL.sub(_escaped, words)}{_CLOSE}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[1]}"


def _shown(found: re.Match[str]) -> str:
    return f'<span class="status {found[1]}">{found[2]}</span>'
