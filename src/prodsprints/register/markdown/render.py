"""Writes a document back from live data: behind each tick its status, at its end the line that is true today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prodsprints.register.markdown.notes import added, note
from prodsprints.register.markdown.values import ParsedDocument, Place
from prodsprints.register.model import Risk

if TYPE_CHECKING:
    from prodsprints.register.assessment import Assessment, RiskStanding
    from prodsprints.register.status import RowStatus

Noted = Callable[[str, str], str]
"""How a note is written into the text, given a word that says of which kind it is."""


def render(
    document: ParsedDocument,
    risks: Iterable[Risk],
    assessment: Assessment,
    *,
    noted: Noted = lambda _, words: note(words),
) -> str:
    """The document's text with what `assessment` knows of it.

    `risks` are what the document's risks became in the register, in the same order. The same assessment always gives
    the same bytes, and importing them gives the same document.
    """
    notes = {(place.line, place.column): text for place, text in _notes(document, risks, assessment, noted)}
    return "\n".join(added(document.text.split("\n"), notes))


def _notes(
    document: ParsedDocument, risks: Iterable[Risk], assessment: Assessment, noted: Noted
) -> Iterator[tuple[Place, str]]:
    for parsed, risk in zip(document.risks, risks, strict=True):
        standing = assessment.risks.get(risk.id)
        if standing is None:  # assessed a moment before another document was imported
            continue
        yield parsed.place, noted(standing.residual.rating, _of_risk(standing, assessment.environment))
        for row, mitigation in zip(parsed.rows, risk.mitigations, strict=True):
            status = assessment.rows[mitigation.id]
            yield row.place, noted(status.status, _of_row(status))
    if document.closing is not None:
        sign = "🔴" if assessment.critical_unproven else "🟢"
        yield document.closing, f" {sign} **{assessment.closing_line.rstrip('.')}** in {assessment.environment}"


def _of_risk(standing: RiskStanding, environment: str) -> str:
    words = f"rated {standing.inherent.rating}; today {standing.residual.rating} in {environment}"
    return f"{words}, and accepted" if standing.is_accepted else words


def _of_row(status: RowStatus) -> str:
    parts = [f"{status.status} in {status.environment}"]
    if status.since is not None:
        parts.append(f"since {status.since:%Y-%m-%d}")
    if status.evidence is not None:
        against = (
            f" against a {status.peer_class}" if status.peer_class == "double" else f" against {status.peer_class}"
        )
        parts.append(f"by evidence {status.evidence}{against if status.peer_class else ''}")
    if not status.status.is_good:
        reason = status.reason.strip().rstrip(".")
        parts[-1] += f": {reason[:1].lower()}{reason[1:]}"
    return ", ".join(parts)
