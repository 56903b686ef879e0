"""The small pieces that risk documents are made of, each recognised by its words: signs and emojis only help.

Emojis are the first thing that an encoding breaks, so no piece depends on one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from prodsprints.register.errors import RegisterError
from prodsprints.register.markdown.text import plain
from prodsprints.register.model import Category, Claim
from prodsprints.register.rating import Level, Probability, band

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*)$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_BREAK = re.compile(r"^ {0,3}([-*_])\s*(?:\1\s*){2,}$")
_ITEM = re.compile(r"^(\s*)(?:[-*+•]|\d{1,3}[.)])\s+(?=\S)")
_NAME = r"([A-Za-z][A-Za-z /&-]{1,38}?)"
_FIELD = re.compile(
    rf"^\s{{0,12}}(?:[-*+•]\s+)?(?:(?:\*\*|__)\s*{_NAME}\s*(?:(?:\*\*|__)\s*:|:\s*(?:\*\*|__))|{_NAME}\s*:)\s*"
)
_CLOSING = re.compile(r"\b(?:risks?|mitigat\w*|critical|unproven|production)\b", re.IGNORECASE)
# `S3 outage` is about a service of that name, `S3: outage` and `S03 outage` have an id
_LABEL = re.compile(r"^(?:[Rr]isk\s+)?([A-Z]{1,8}[-_ ]?(?:\d{2,5}\b|\d(?=\s*(?:[]:.)|*–—-]|$))))\W*", re.ASCII)
_NUMBERED = re.compile(r"^risk[-_ #]{0,3}(\d{1,5})\b\W*", re.IGNORECASE)
_LEVEL_WORD = re.compile(r"\b(critical|high|medium|moderate|low)\b", re.IGNORECASE)
_LEVEL_SIGNS = {"🔴": Level.CRITICAL, "🟠": Level.HIGH, "🟡": Level.MEDIUM, "🟢": Level.LOW}
_BESIDE_LEVEL = {
    "risk", "risks", "severity", "priority", "level", "impact", "technical", "security", "operational", "business",
}  # fmt: skip


class Field(StrEnum):
    """What a labelled line of a risk, or a column of a table of risks, tells."""

    DESCRIPTION = "description"
    IMPACT = "impact"
    PROBABILITY = "probability"
    LEVEL = "level"
    OWNER = "owner"
    MITIGATION = "mitigation"
    TITLE = "title"
    ID = "id"
    LAST_UPDATED = "last updated"
    NEXT_REVIEW = "next review"
    SPONSOR = "executive sponsor"
    STATUS = "status"
    UNKNOWN = ""


_FIELD_NAMES = {
    Field.DESCRIPTION: ("risk", "description", "risk description", "threat", "what can go wrong"),
    Field.IMPACT: ("impact", "impacts", "consequence", "consequences", "business impact"),
    Field.PROBABILITY: ("probability", "likelihood"),
    Field.LEVEL: ("level", "severity", "risk level", "priority"),
    Field.OWNER: ("owner", "risk owner", "document owner", "responsible"),
    Field.MITIGATION: (
        "mitigation", "mitigations", "mitigation strategy", "mitigation strategies", "mitigation plan", "controls",
        "countermeasures", "treatment", "response",
    ),
    Field.TITLE: ("title", "name", "risk title", "risk name"),
    Field.ID: ("id", "no", "nr", "#", "risk id", "ref", "reference"),
    Field.LAST_UPDATED: ("last updated", "updated", "last update", "date"),
    Field.NEXT_REVIEW: ("next review", "next review date", "review date", "review due"),
    Field.SPONSOR: ("executive sponsor", "sponsor"),
    Field.STATUS: ("status",),
}  # fmt: skip
_FIELDS = {name: field for field, names in _FIELD_NAMES.items() for name in names}

_CLAIM_WORDS = {
    Claim.IMPLEMENTED: r"implemented|done|completed?|in place|live",
    Claim.ONGOING: r"ongoing|in progress|partial|partially implemented|wip|started",
    Claim.PLANNED: r"planned|to[ -]?do|proposed|not started|open|future|scheduled",
}
_ANY_CLAIM = "|".join(_CLAIM_WORDS.values())
_CLAIM = re.compile(
    rf"^[^\w\s*]*\s*(?:(?:\*\*|__)\s*(?P<bold>{_ANY_CLAIM})\s*:?\s*(?:\*\*|__)\s*[:–—-]?\s*"
    rf"|(?P<bare>{_ANY_CLAIM})\s*(?::|\s[–—-])\s+)(?=\S)",
    re.IGNORECASE,
)
_CLAIM_BEHIND = re.compile(rf"\s*\(({_ANY_CLAIM})\)$", re.IGNORECASE)
_BOX = re.compile(r"^\[([ xX~/-])\]\s+(?=\S)")
_BOXES = {" ": Claim.PLANNED, "x": Claim.IMPLEMENTED, "~": Claim.ONGOING, "/": Claim.ONGOING, "-": Claim.ONGOING}
_SIGN = re.compile(r"^(?:([✅✔☑🟢🔄🚧⏳🔧🟡📋⬜☐❌🔜📅🔴])\ufe0f?|\?+)\s*(?=\S)")
_SIGNS = {
    **dict.fromkeys("✅✔☑🟢", Claim.IMPLEMENTED),
    **dict.fromkeys("🔄🚧⏳🔧🟡", Claim.ONGOING),
    **dict.fromkeys("📋⬜☐❌🔜📅🔴", Claim.PLANNED),
}

_PROBABILITY_WORDS = {
    "very unlikely": 1, "rare": 1, "remote": 1, "very low": 1, "unlikely": 2, "low": 2, "possible": 3, "medium": 3,
    "moderate": 3, "very likely": 5, "almost certain": 5, "very high": 5, "certain": 5, "likely": 4, "probable": 4,
    "high": 4,
}  # fmt: skip
_NUMBER = r"-?\d{1,6}(?:\.\d{1,6})?"
_RANK = re.compile(rf"\(\s*({_NUMBER}|nan)\s*(?:/\s*5\s*)?\)|^\s*({_NUMBER}|nan)\s*(?:/\s*5\b|$|[\s(:–—-]+[a-z])", re.I)
_PERCENT = re.compile(rf"(?:({_NUMBER})\s*%?\s*[-–—]\s*)?([<>]?)\s*({_NUMBER})\s*%")

_CATEGORIES = {
    Category.TECHNICAL: ("technical", "technology", "infrastructure", "platform", "engineering", "software"),
    Category.SECURITY: ("security", "cyber", "cybersecurity", "privacy"),
    Category.OPERATIONAL: ("operational", "operations", "operation", "people", "process", "project", "organisational",
                           "organizational"),
    Category.BUSINESS: ("business", "commercial", "financial", "legal", "strategic", "market", "compliance",
                        "regulatory"),
}  # fmt: skip
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y")


@dataclass(frozen=True)
class Heading:
    """A heading: how deep it is (1 is the title), and its words."""

    depth: int
    words: str


def heading(line: str) -> Heading | None:
    """The heading that `line` is, if it is one."""
    found = _HEADING.match(line)
    words = found[2].rstrip().rstrip("#").rstrip() if found else ""
    return Heading(len(found[1]), words) if found and words else None


def fence(line: str) -> str:
    """The fence of a code block that `line` opens or closes, such as three backticks; else nothing."""
    found = _FENCE.match(line)
    return found[1] if found else ""


def is_break(line: str) -> bool:
    """Is it a thematic break, `---`?"""
    return bool(_BREAK.match(line))


def indent(line: str) -> int:
    """How far a line is indented."""
    return len(line) - len(line.lstrip())


def item(line: str) -> str | None:
    """What stands in a list's item, or None if `line` is none."""
    found = _ITEM.match(line)
    return line[found.end() :] if found else None


def field(line: str) -> tuple[Field, str]:
    """Which field a line such as `**Impact**: no deployments` is, and its value; `Field.UNKNOWN` for any other line."""
    if found := _FIELD.match(line):
        name = _FIELDS.get((found[1] or found[2]).casefold(), Field.UNKNOWN)
        return name, line[found.end() :].strip() if name else ""
    return Field.UNKNOWN, ""


def without_value(line: str) -> str:
    """A labelled line without what it says: `**Status**:`."""
    found = _FIELD.match(line)
    return line[: found.end()].rstrip() if found else line


def says_how_things_stand(value: str) -> bool:
    """Is this status, of a whole document, about its risks? `draft` is not; nothing at all is waiting to be."""
    return not value or bool(_CLOSING.search(value))


def column(name: str) -> Field:
    """Which field a table's column, or a heading inside a risk, is about."""
    return _FIELDS.get(plain(name).strip("*_: ").casefold(), Field.UNKNOWN)


def label(words: str) -> tuple[str, str]:
    """The id that a risk's heading begins with, and its title: `("R001", "Provider API Rate Limits")`."""
    start = re.sub(r"^[^\w]+", "", words)
    if found := _LABEL.match(start):
        return re.sub(r"\s", "", found[1]), start[found.end() :]
    if found := _NUMBERED.match(start):
        return f"RISK{found[1]}", start[found.end() :]
    return "", re.sub(r"^(?:\d{1,3}[.)]\s*|risk\s*:\s*)", "", start, flags=re.IGNORECASE)


def level(words: str) -> Level | None:
    """The level that `words` name, by word or by sign."""
    if found := _LEVEL_WORD.search(words):
        word = found[1].casefold()
        return Level.MEDIUM if word == "moderate" else Level(word)
    return next((level for sign, level in _LEVEL_SIGNS.items() if sign in words), None)


def level_of_section(words: str) -> Level | None:
    """The level that a heading gives to the risks below it; None for `High availability`, which is about none."""
    named = set(re.findall(r"[a-z]+", words.casefold()))
    has_sign = any(sign in words for sign in _LEVEL_SIGNS)
    is_about_risks = bool(named & {"risk", "risks"}) or not named - _BESIDE_LEVEL - {*Level, "moderate"}
    return level(words) if has_sign or is_about_risks else None


def level_of_risk(words: str) -> Level | None:
    """The level that a risk's own heading gives it, in brackets or by its sign: `R7: Flood (HIGH)`."""
    bracketed = re.findall(r"[\[(]([^\])]{1,20})[\])]", words)
    named = next((found for text in bracketed if (found := level_of_section(text))), None)
    return named or next((level for sign, level in _LEVEL_SIGNS.items() if sign in words), None)


def category(words: str) -> Category | None:
    """The category that a heading gives to the risks below it."""
    named = re.findall(r"[a-z]+", words.casefold())
    if not {"risk", "risks", "threats"} & set(named) and len(named) != 1:
        return None
    return next((category for category, known in _CATEGORIES.items() if set(known) & set(named)), None)


def claim(words: str) -> tuple[Claim | None, str]:
    """What an item claims, by word, box or sign, and the words that are left; None where it claims nothing."""
    words = words.strip()
    boxed = signed = None
    if found := _BOX.match(words):
        boxed, words = _BOXES[found[1].lower()], words[found.end() :]
    if found := _CLAIM.match(words):
        return _claimed(found["bold"] or found["bare"]), words[found.end() :].strip()
    if found := _SIGN.match(words):
        signed, words = _SIGNS.get(found[1]), words[found.end() :]
    if found := _CLAIM_BEHIND.search(words):
        return _claimed(found[1]), words[: found.start()].strip()
    return boxed or signed, words.strip()


def probability(words: str) -> Probability | None:
    """The probability that `words` give: `Likely (4)`, `4/5`, `70 %`, `almost certain`.

    None where they give none. Raises RegisterError for one that is not on the scale: it is never clamped.
    """
    if found := _RANK.search(words):
        number = found[1] or found[2]
        if number.isdecimal() and 1 <= int(number) <= len(Probability):
            return Probability(int(number))
        raise RegisterError(f"{number} is no probability from 1 to 5.", next_step="Give one of the scale.")
    if found := _PERCENT.search(words):
        return _of_percent(found)
    folded = words.casefold()
    return next(
        (Probability(rank) for word, rank in _PROBABILITY_WORDS.items() if re.search(rf"\b{word}\b", folded)), None
    )


def day(words: str) -> date | None:
    """The date that `words` give in a form that cannot be read in two ways."""
    clean = plain(words).strip("*_ ")
    for form in _DATES:
        try:
            return datetime.strptime(clean, form).date()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    return None


def _claimed(word: str) -> Claim:
    return next(claim for claim, words in _CLAIM_WORDS.items() if re.fullmatch(words, word, re.IGNORECASE))


def _of_percent(found: re.Match[str]) -> Probability:
    first, sign, last = found.groups()
    chance = float(last) / 100
    if not 0 <= chance <= 1 or (first and not 0 <= float(first) <= float(last)):
        raise RegisterError(f"{found.group().strip()} is no probability.", next_step="Give 0 to 100 %.")
    if first:  # the bands of the scale: `60-80%` is its fourth
        return band((float(first) / 100 + chance) / 2)
    nudge = {"<": -1e-9, ">": 1e-9}.get(sign, 0)
    return band(min(1.0, max(0.0, chance + nudge)))
