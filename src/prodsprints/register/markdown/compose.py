"""Our register written out as a document of the specification's shape, for those who have none of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from prodsprints.register.contacts import ROLES
from prodsprints.register.escalation import STAGES
from prodsprints.register.kris import INDICATORS
from prodsprints.register.model import Category, Claim, Risk
from prodsprints.register.rating import Level, Probability
from prodsprints.register.register import Register
from prodsprints.register.reviews import CADENCES

_LEVELS = {
    Level.CRITICAL: ("🔴", "The system fails as a whole, data is lost, or security is broken"),
    Level.HIGH: ("🟠", "Service is degraded, many users are hurt, or a rule is broken"),
    Level.MEDIUM: ("🟡", "Slow, or a nuisance to some users"),
    Level.LOW: ("🟢", "Cosmetic, or rare"),
}
_CLAIMS = {Claim.IMPLEMENTED: "✅ **Implemented**", Claim.ONGOING: "🔄 **Ongoing**", Claim.PLANNED: "📋 **Planned**"}


def compose(register: Register) -> str:
    """The document's text, without any status."""
    return "\n".join([*_head(), *_risks(register), *_frame(), *_foot(register)]) + "\n"


def in_order(register: Register) -> tuple[Risk, ...]:
    """The risks as the document has them: by category, and within one the worst level first."""
    categories, levels = list(Category), list(Level)
    return tuple(sorted(register.risks, key=lambda risk: (categories.index(risk.category), levels.index(risk.level))))


def _head() -> Iterator[str]:
    yield from ("# Risks & Mitigations", "")
    yield "Every tick is a claim; what is known of it today stands behind it. Written by `prodsprints register export`."
    yield from ("", "## Risk Assessment Framework", "", "### Risk Levels")
    for level, (sign, words) in _LEVELS.items():
        yield f"- **{sign} {level.upper()}**: {words}"
    yield from ("", "### Probability Scale")
    for probability in reversed(Probability):
        yield f"- **{probability.words} ({int(probability)})**: {probability.share} within twelve months"
    yield ""


def _risks(register: Register) -> Iterator[str]:
    for category, of_category in groupby(in_order(register), lambda risk: risk.category):
        yield from (f"## {category.capitalize()} Risks", "")
        for level, risks in groupby(of_category, lambda risk: risk.level):
            word = "" if category is Category.TECHNICAL else f" {category.upper()}"
            yield from (f"### {_LEVELS[level][0]} {level.upper()}{word} RISKS", "")
            for risk in risks:
                yield from _risk(risk, register.document.owner)


def _risk(risk: Risk, owner: str) -> Iterator[str]:
    yield f"#### {risk.id}: {risk.title}"
    yield f"**Risk**: {' '.join(risk.description.split())}"
    yield f"**Impact**: {' '.join(risk.impact.split())}"
    yield f"**Probability**: {risk.probability.words} ({int(risk.probability)})"
    if risk.owner != owner:
        yield f"**Owner**: {risk.owner}"
    yield "**Mitigation**:"
    for row in risk.mitigations:
        yield f"- {_CLAIMS[row.claim]}: {row.words or row.title}"
    yield ""


def _frame() -> Iterator[str]:
    yield from ("## Risk Monitoring and Review", "", "### 🔄 Review Process")
    yield from (f"- **{cadence.capitalize()}**: {words}" for cadence, words in CADENCES.items())
    yield from ("", "### 📈 Key Risk Indicators (KRIs)")
    yield from (f"- {indicator.name}" for indicator in INDICATORS)
    yield from ("", "### 🚨 Escalation Procedures")
    yield from (
        f"{number}. **{stage.capitalize()}**: {words}" for number, (stage, words) in enumerate(STAGES.items(), 1)
    )
    yield from ("", "### 📞 Emergency Contacts")
    yield from (f"- **{words}**: {why}" for words, why in ROLES.values())
    yield ""


def _foot(register: Register) -> Iterator[str]:
    document = register.document
    yield from ("---", "")
    yield f"**Last Updated**: {document.last_updated}  "
    yield f"**Next Review**: {document.next_review}  "
    yield f"**Risk Owner**: {document.owner}  "
    yield f"**Executive Sponsor**: {document.executive_sponsor}"
    yield from ("", "**Status**:")
