"""Risk documents in Markdown: the specification in every encoding, other people's documents, and what is none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from prodsprints.register.errors import NotARiskDocumentError, RegisterError
from prodsprints.register.markdown import ParsedDocument, parse
from prodsprints.register.model import Category, Claim
from prodsprints.register.rating import Level

DOCUMENT = (Path(__file__).parents[1] / "fixtures" / "risks-and-mitigations.md").read_text(encoding="utf-8")
UTF8 = DOCUMENT.encode()


def cp1252(raw: bytes) -> str:
    """As Windows reads it; what its table leaves out comes through as it is."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in raw)


BROKEN: dict[str, str | bytes] = {
    "clean": DOCUMENT,
    "bytes": UTF8,
    "with a byte order mark": b"\xef\xbb\xbf" + UTF8,
    "in UTF-16": DOCUMENT.encode("utf-16"),
    "read as Latin-1": UTF8.decode("latin-1"),
    "read as cp1252": cp1252(UTF8),
    "read as cp1252 and saved": cp1252(UTF8).encode(),
    "read as cp1252 twice": cp1252(cp1252(UTF8).encode()),
    "read as cp1252, spaces made plain": cp1252(UTF8).replace("\xa0", " "),
    "saved as ASCII with question marks": DOCUMENT.encode("ascii", "replace"),
    "without its emojis": DOCUMENT.encode("ascii", "ignore"),
    "read as ASCII": UTF8.decode("ascii", "replace"),
    "lines ended as on Windows": UTF8.replace(b"\n", b"\r\n"),
    "lines ended as on old Macs": UTF8.replace(b"\n", b"\r"),
    "with non-breaking spaces": DOCUMENT.replace(" ", "\xa0"),
    "with emoji variation selectors": DOCUMENT.replace("✅", "✅\ufe0f"),
}


def told(document: ParsedDocument) -> list[object]:
    return [
        (
            risk.id,
            risk.title,
            risk.category,
            risk.level,
            risk.probability,
            [(row.claim, row.words) for row in risk.rows],
        )
        for risk in document.risks
    ]


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_the_specification_is_24_risks_and_117_rows_however_it_was_saved(raw: str | bytes, specified) -> None:
    document = parse(raw)
    found = [(it.id, it.title, it.category, it.level, it.probability, len(it.rows)) for it in document.risks]
    assert found == [(it.id, it.title, it.category, it.level, it.probability, it.rows) for it in specified]
    assert Counter(row.claim for row in document.rows) == {Claim.IMPLEMENTED: 116, Claim.ONGOING: 1}
    assert told(document) == told(parse(DOCUMENT))
    assert document.warnings == ()


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_reading_what_was_read_changes_nothing(raw: str | bytes) -> None:
    text = parse(raw).text
    assert parse(text).text == text


@pytest.mark.parametrize("name", [name for name in BROKEN if "read as" in name and "ASCII" not in name])
def test_a_broken_encoding_is_repaired_in_the_prose_too(name: str) -> None:
    assert parse(BROKEN[name]).text == parse(DOCUMENT).text


def test_the_document_says_who_owns_it_and_when_it_is_reviewed() -> None:
    document = parse(DOCUMENT)
    assert (document.owner, document.executive_sponsor) == ("Platform Engineering Team", "CTO")
    assert (document.last_updated, document.next_review) == (date(2024, 1, 1), date(2024, 2, 1))


def test_the_closing_line_is_never_imported_as_truth() -> None:
    assert "ALL CRITICAL RISKS MITIGATED" in DOCUMENT
    assert "MITIGATED" not in parse(DOCUMENT).text


def test_prose_code_dashboards_and_contacts_stay_as_they_are() -> None:
    kept = parse(DOCUMENT).text.splitlines()
    assert [line for line in DOCUMENT.splitlines() if line not in kept] == [DOCUMENT.splitlines()[-1]]


def test_french_typography_is_no_broken_encoding() -> None:
    said = "«\xa0voilà\xa0» et É—là"
    assert said in parse(DOCUMENT.replace("System-wide failure", said)).text


OTHER = """\
# Our risks

## Technical risks

### High

#### RISK-12: The queue fills up
Description: Producers outrun consumers,
and nobody notices.
Impact: Orders are lost
Likelihood: 70%
Owner: Team Blue
Controls:
- [x] Alerts on queue depth
- [ ] Consumers scale out
- In progress: back pressure
  with a documented limit
  - a detail of it
- Done: Dead letters are kept
- TODO: Load test
* a wish

#### The office burns
**Severity:** Low
**Probability:** Very Unlikely
**Mitigation:**
1. ✅ Fire extinguishers
2. 🚧 Evacuation drill
"""


def test_another_document_of_the_shape_is_read_by_its_words() -> None:
    queue, office = parse(OTHER).risks
    assert (queue.id, queue.label, queue.title) == ("RISK12", "RISK-12", "The queue fills up")
    assert (queue.level, queue.probability, queue.owner, queue.category) == ("high", 4, "Team Blue", "technical")
    assert queue.description == "Producers outrun consumers, and nobody notices."
    assert [(str(row.claim), row.words) for row in queue.rows] == [
        ("implemented", "Alerts on queue depth"),
        ("planned", "Consumers scale out"),
        ("ongoing", "back pressure with a documented limit"),
        ("implemented", "Dead letters are kept"),
        ("planned", "Load test"),
        ("planned", "a wish"),
    ]
    assert (office.id, office.title, office.level, office.probability) == ("", "The office burns", "low", 1)
    assert [str(row.claim) for row in office.rows] == ["implemented", "ongoing"]


def test_what_was_read_in_one_of_several_ways_is_told_with_its_line() -> None:
    assert parse(OTHER).warnings == (
        "line 21: claims nothing (`Implemented`, `Ongoing`, `Planned`, `[x]`); read as planned.",
    )


TABLE = """\
## Security

| ID | Risk | Severity | Likelihood | Mitigations | Owner |
|----|:-----|---------:|:----------:|-------------|-------|
| SEC-1 | Keys leak \\| are guessed | Critical | Likely | Implemented: Scanner<br>Planned: Rotation | Eve |
| SEC-2 | Laptop stolen | Medium | 2/5 | ✅ Disk encryption; ⏳ Remote wipe |
"""


def test_a_table_with_a_risk_on_each_line_is_read_by_its_columns() -> None:
    keys, laptop = parse(TABLE).risks
    assert (keys.id, keys.level, keys.probability, keys.owner) == ("SEC1", Level.CRITICAL, 4, "Eve")
    assert keys.category is Category.SECURITY
    assert [(str(row.claim), row.words) for row in keys.rows] == [("implemented", "Scanner"), ("planned", "Rotation")]
    assert [(str(row.claim), row.words) for row in laptop.rows] == [
        ("implemented", "Disk encryption"),
        ("ongoing", "Remote wipe"),
    ]
    assert TABLE.splitlines()[4][keys.rows[0].place.column :].startswith("<br>")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Likely (4)", 4), ("4", 4), ("4/5", 4), ("(5)", 5), ("3 - Possible", 3), ("almost certain", 5), ("rare", 1),
        ("80%", 4), (">80%", 5), ("<20%", 1), ("20%", 2), ("60-80%", 4), ("40 – 60 %", 3), ("0%", 1), ("100 %", 5),
        ("VERY UNLIKELY", 1), ("Medium", 3),
    ],
)  # fmt: skip
def test_a_probability_is_read_by_number_share_or_word(written: str, read: int) -> None:
    assert parse(OTHER.replace("70%", written)).risks[0].probability == read


@pytest.mark.parametrize("written", ["0", "6", "Likely (6)", "0.7", "NaN", "-1", "101%", "-5 %", "80-20%", "4.0", "x"])
def test_a_probability_off_the_scale_is_refused_with_its_line_and_never_clamped(written: str) -> None:
    with pytest.raises(RegisterError) as caught:
        parse(OTHER.replace("70%", written))
    assert caught.value.what.startswith("line 11: ")


def changed(old: str, new: str) -> Callable[[], ParsedDocument]:
    assert old in OTHER
    return lambda: parse(OTHER.replace(old, new, 1))


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (changed("Likelihood: 70%\n", ""), "line 7: 'RISK-12' has no probability"),
        (changed("### High", "### Hints"), "line 7: 'RISK-12' has no level"),
        (changed("The office", "RISK-12: The office"), "line 23: RISK-12 is already the id of the risk in line 7"),
        (changed("Load test", "x" * 1001), "line 20: a mitigation is longer than 1000 characters"),
        (changed("Load test", "Load\x1b[2Jtest"), "line 20: holds control characters"),
        (changed("Load test", "Load\x00test"), "line 20: holds control characters"),
        (changed("Load test", "Load\ud800test"), "line 20: holds control characters"),
        (lambda: parse("x" * 9000), "line 1: longer than 8000 characters"),
        (lambda: parse("#\n" * 41_000), "more than 40000 lines"),
        (lambda: parse(b"x" * 3_000_000), "larger than 1,000,000 bytes"),
        (lambda: parse("€\n" * 30_000 + "€" * 7_000 + ("\n" + "€" * 7_000) * 49), "larger than 1,000,000 bytes"),
        (lambda: parse("".join(f"# R{n}: x\nProbability: 1\nLevel: low\n" for n in range(10, 1020))), "1000 risks"),
        (lambda: parse("#### R1: x\nProbability: 1\nLevel: low\n" + "- Done: x\n" * 201), "more than 200 mitigations"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_and_named(read: Callable[[], ParsedDocument], said: str) -> None:
    with pytest.raises(RegisterError) as caught:
        read()
    assert said in caught.value.what
    assert caught.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Notes\n\n## Lunch\n- soup\n",
        "Just words.",
        "\x7fELF".replace("\x7f", "?"),
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
    ],
)
def test_a_markdown_that_is_no_risk_document_is_refused_with_what_was_looked_for(text: str) -> None:
    with pytest.raises(NotARiskDocumentError) as caught:
        parse(text)
    assert "**Probability**: Likely (4)" in caught.value.why
    if "Lunch" in text:
        assert "line 3: 'Lunch'" in caught.value.why


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(RegisterError) as caught:
        parse("".join(f"#### R{n}: x\nImpact: big\n- Done: y\n" for n in range(10, 60)))
    lines = caught.value.what.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 80 more."


@pytest.mark.parametrize(
    "line", ["# " + "#" * 7000 + " x", " " * 7000 + "x", "**" + "a " * 3000, "|" * 7000, " *(" * 2000]
)
def test_a_line_made_to_be_slow_is_read_at_once(line: str) -> None:
    begin = time.monotonic()
    with pytest.raises(NotARiskDocumentError):
        parse(f"{line}\n" * 100)
    assert time.monotonic() - begin < 20  # as the first pattern for a heading had it: minutes


def test_code_is_not_read_as_risks() -> None:
    assert [risk.id for risk in parse(f"```\n{OTHER}```\n{TABLE}").risks] == ["SEC1", "SEC2"]
