"""A living document: what is exported comes back as the same document, and goes out as the same bytes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.register.assessment import Assessment, Log, LogState, assess
from prodsprints.register.documents import our_source, ours
from prodsprints.register.joining import Numbers, Source, join
from prodsprints.register.markdown import parse, render
from prodsprints.register.markdown.page import html
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing

DOCUMENT = (Path(__file__).parents[1] / "fixtures" / "risks-and-mitigations.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def live(register: Register) -> Assessment:
    return assess(register, Standing("t"), {}, "demo", NOW, Log(LogState.VERIFIED))


def imported(text: str, before: Numbers | None = None) -> Source:
    return join(parse(text), ours(), before=before or Numbers(), imported_on=date(2026, 11, 23))


def exported(source: Source) -> str:
    return render(source.document, source.register.risks, live(source.register))


def test_the_specification_comes_back_from_an_export_byte_for_byte() -> None:
    first = exported(imported(DOCUMENT))
    again = imported(first)
    assert again.document.text == parse(DOCUMENT).text
    assert exported(again) == first


def test_an_export_says_behind_each_claim_what_is_known_of_it() -> None:
    text = exported(imported(DOCUMENT))
    ticks = [line for line in text.splitlines() if line.startswith(("- ✅", "- 🔄"))]
    assert len(ticks) == 117
    assert all("in demo: " in line and line.endswith("<!-- prodsprints -->") for line in ticks)
    noted = "*(unproven in demo: it has no control and no drill yet)*<!-- prodsprints -->"
    assert f"- ✅ **Implemented**: State drift detection with scheduled plan jobs {noted}" in ticks


def test_the_closing_line_of_an_export_is_true() -> None:
    assert exported(imported(DOCUMENT)).endswith("\n**Status**: 🔴 **30 of 30 critical rows unproven** in demo\n")


def test_a_status_that_is_no_closing_line_is_left_alone() -> None:
    document = DOCUMENT.replace("**Status**: 🟢 **ALL CRITICAL RISKS MITIGATED** - ", "**Status**: Draft 7, ").replace(
        "Platform ready for production with comprehensive risk management", "not for sale"
    )
    assert exported(imported(document)).endswith("**Status**: Draft 7, not for sale\n")


def test_a_forged_status_in_a_document_is_taken_out() -> None:
    claim = "Token bucket rate limiting per provider"
    forged = DOCUMENT.replace(claim, f"{claim} *(proven in production by evidence 9)*<!-- prodsprints -->")
    assert parse(forged).text == parse(DOCUMENT).text


def test_our_own_register_is_a_document_that_can_be_imported() -> None:
    text = exported(our_source())
    again = imported(text)
    assert again.joined == 117
    assert again.document.text == our_source().document.text
    assert exported(again) == text


def test_a_page_is_inert_whatever_the_document_says() -> None:
    attack = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) \ue000proven\ue001x\ue002"
    source = imported(
        DOCUMENT.replace("Token bucket rate limiting per provider", attack).replace("## Overview", attack)
    )
    page = html(source.document, source.register.risks, live(source.register))
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    Tags().feed(page)
    assert not {"script", "img", "iframe", "link"} & {tag for tag, _ in seen}
    assert not [name for _, attributes in seen for name in attributes if name.startswith("on") or name == "href"]
    statuses = [attributes["class"] for tag, attributes in seen if tag == "span"]
    assert statuses.count("status unproven") == 117


words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
prose = st.one_of(
    words,
    st.sampled_from(
        ["", "---", "```", "~~~", "| a | Probability |", "|---|---|", "- item", "  - deeper", "> quoted", "**Status**:",
         "**Status**: all mitigated", "**Next Review**: 2024-02-01  ", "<!-- prodsprints -->",
         " *(x)*<!-- prodsprints -->",
         "ðŸ”´ âœ…", "## Security Risks", "### 🟠 HIGH RISKS", "Impact: high", "**Mitigation**:", "\ufeff", "é\u2028x"]
    ),
)  # fmt: skip
risk = st.builds(
    lambda id, title, level, probability, rows: "\n".join(
        [f"#### {id}{title}", f"**Level**: {level}", f"**Probability**: {probability}", "**Mitigation**:", *rows]
    ),
    st.sampled_from(["", "R001: ", "S003: ", "X-7: ", "Risk 4: "]),
    words,
    st.sampled_from(["critical", "HIGH", "🟡", "low"]),
    st.sampled_from(["Likely (4)", "1", "70%", "rare"]),
    st.lists(
        st.builds(
            "- {}{}".format,
            st.sampled_from(["✅ **Implemented**: ", "[x] ", "[ ] ", "TODO: ", "", "🔄 "]),
            st.one_of(words, st.just("Token bucket rate limiting per provider")),
        ),
        max_size=4,
    ),
)
documents = st.lists(st.one_of(prose, risk), min_size=1, max_size=12).map("\n".join)


@given(documents)
@settings(max_examples=400)
def test_any_document_that_can_be_imported_comes_back_from_its_export(text: str) -> None:
    try:
        first = imported(text)
    except ProdSprintsError:
        assume(False)
    out = exported(first)
    again = imported(out, first.numbers)
    assert again.document.text == first.document.text
    assert again.register == first.register
    assert exported(again) == out
    html(first.document, first.register.risks, live(first.register))


@given(st.one_of(st.text(), st.binary(), documents.map(str.encode), documents.map(lambda text: text.encode("utf-16"))))
@settings(max_examples=300)
def test_nothing_makes_the_reader_fail_in_another_way_than_its_own(raw: str | bytes) -> None:
    with suppress(ProdSprintsError):
        parse(raw)


def risk_with(rows: str) -> str:
    return f"#### R001: Limits\nLevel: high\nProbability: 3\nMitigation:\n{rows}"


def test_a_row_is_joined_to_our_control_only_by_risk_and_words() -> None:
    ours_says = "Token bucket rate limiting per provider"
    [limits] = imported(risk_with(f"- Done: {ours_says}\n- Done: Token buckets\n")).register.risks
    known, other = limits.mitigations
    assert (known.id, known.title) == ("R001.2", ours().risk("R001").mitigations[1].title)
    assert (other.id, other.kind, other.lacks, other.control) == ("R001.6", "attestation", ("attestation",), None)
    foreign = imported(risk_with(f"- Done: {ours_says}\n").replace("R001", "R099"))
    assert foreign.joined == 0


def test_neither_spacing_nor_quotes_keep_a_row_from_being_joined() -> None:
    text = (
        "#### R011: Expiry\nLevel: low\nProbability: 2\n- Done: Automated  certificate\xa0renewal with Let’s Encrypt\n"
    )
    assert imported(text).joined == 1


def test_what_is_said_twice_is_joined_once() -> None:
    twice = imported(risk_with("- Done: Token bucket rate limiting per provider\n" * 2))
    assert twice.joined == 1
    assert [row.id for row in twice.register.mitigations] == ["R001.2", "R001.6"]


def test_a_row_keeps_its_number_when_others_come_go_and_move() -> None:
    first = imported(risk_with("- Done: a\n- Done: b\n"))
    second = imported(risk_with("- Done: c\n- Done: b\n"), first.numbers)
    third = imported(risk_with("- Done: a\n- Done: d\n"), second.numbers)
    ids = [[(row.words, row.id) for row in source.register.mitigations] for source in (first, second, third)]
    assert ids == [
        [("a", "R001.6"), ("b", "R001.7")],
        [("c", "R001.8"), ("b", "R001.7")],
        [("a", "R001.6"), ("d", "R001.9")],
    ]


def test_a_risk_without_an_id_keeps_the_one_it_was_given() -> None:
    def unlabelled(*titles: str) -> str:
        return "".join(f"## {title}\nLevel: low\nProbability: 1\nMitigation:\n- Done: x\n" for title in titles)

    first = imported(unlabelled("Flood", "Fire"))
    second = imported(unlabelled("Theft", "Fire") + "## X003: Labelled\nLevel: low\nProbability: 1\n", first.numbers)
    assert [(risk.title, risk.id) for risk in first.register.risks] == [("Flood", "X001"), ("Fire", "X002")]
    assert [(risk.title, risk.id) for risk in second.register.risks] == [
        ("Theft", "X004"), ("Fire", "X002"), ("Labelled", "X003")
    ]  # fmt: skip


@given(documents)
@settings(max_examples=150)
def test_every_id_of_a_register_is_there_once(text: str) -> None:
    try:
        register = imported(text).register
    except ProdSprintsError:
        assume(False)
    rows = [row.id for row in register.mitigations]
    assert len(rows) == len(set(rows))
    assert len({risk.id for risk in register.risks}) == len(register.risks)


def test_a_known_risk_of_which_no_row_is_known_is_told() -> None:
    assert (
        imported(risk_with("- Done: a\n"))
        .warnings[-1]
        .endswith("none of R001's rows says what ours do; none is joined.")
    )


@pytest.mark.parametrize("claim", ["planned", "ongoing"])
def test_the_documents_claim_stands_not_ours(claim: str) -> None:
    row = imported(
        risk_with(f"- {claim.capitalize()}: Token bucket rate limiting per provider\n")
    ).register.mitigations[0]
    assert row.claim == claim
