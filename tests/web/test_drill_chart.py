"""The chart of an arm is well-formed and complete for every length of drill, and says what it shows."""

from __future__ import annotations

import time
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.drills.arms import Sample
from prodsprints.drills.runs import RunEvent
from prodsprints.drills.stage import Arm
from prodsprints.web import drill_view
from prodsprints.web.drill_chart import Axes, drill_chart
from prodsprints.web.drill_view import ArmView
from web.support_drills import arm, events_of

SVG = "{http://www.w3.org/2000/svg}"


def view(which: Arm, *, holds: bool, until: float = 99.0) -> ArmView:
    told = [event for event in events_of(arm(which, holds=holds)) if event.at <= until]
    events = [RunEvent(seq, one.arm, one.at, one.kind, dict(one.data)) for seq, one in enumerate(told, 1)]
    return next(one for one in drill_view.arms(events) if one.arm is which)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own output


def test_the_fault_is_drawn_over_the_calls_and_what_broke_has_another_shape() -> None:
    ours, bare = view(Arm.TREATMENT, holds=True), view(Arm.PLACEBO, holds=False)
    axes = Axes.of((ours, bare))
    treatment, placebo = (parsed(drill_chart(one, "calls are refused", axes)) for one in (ours, bare))
    shapes = [element.get("class") for element in placebo.iter()]
    assert {"fault", "held", "broken"} <= set(shapes)
    assert "broken" not in [element.get("class") for element in treatment.iter()]
    broken = next(element for element in placebo.iter() if element.get("class") == "broken").get("d", "")
    assert broken.count("M") == bare.calls_broken
    assert [text.text for text in treatment.iter(f"{SVG}text")].count("the fault") == 1


def test_both_arms_are_drawn_on_the_same_axes() -> None:
    arms = view(Arm.TREATMENT, holds=True), view(Arm.PLACEBO, holds=False)
    axes = Axes.of(arms)
    words = [[text.text for text in parsed(drill_chart(one, "", axes)).iter(f"{SVG}text")] for one in arms]
    marks = [[word for word in shown if word and word.endswith((" s", " ms"))] for shown in words]
    assert marks[0] == marks[1]


def test_a_reader_who_cannot_see_it_gets_calls_fault_and_probes_in_words() -> None:
    bare = view(Arm.PLACEBO, holds=False)
    root = parsed(drill_chart(bare, "the provider answers 429 to 8 of 10 calls", Axes.of((bare,))))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Placebo: the bare peer"
    said = root.findtext(f"{SVG}desc") or ""
    assert f"{bare.calls_broken} of them broken" in said
    assert "The provider answers 429 to 8 of 10 calls." in said
    assert "The fault begins at 1.9 s until 5.1 s." in said
    assert "3 probes looked at; 1 broke." in said


def test_an_arm_that_has_not_begun_has_a_chart_too() -> None:
    nothing = ArmView(Arm.TREATMENT)
    assert "No call yet" in drill_chart(nothing, "", Axes.of((nothing,)))


def test_a_fault_that_goes_on_reaches_to_the_latest_moment() -> None:
    running = view(Arm.TREATMENT, holds=True, until=3.0)
    assert running.phase == "probes"
    root = parsed(drill_chart(running, "", Axes.of((running,))))
    fault = next(element for element in root.iter() if element.get("class") == "fault")
    assert float(fault.get("x", 0)) + float(fault.get("width", 0)) > 500
    assert "and goes on" in (root.findtext(f"{SVG}desc") or "")


def test_a_page_that_forbids_style_gets_none() -> None:
    shown = view(Arm.TREATMENT, holds=True)
    assert "<style" in drill_chart(shown, "", Axes.of((shown,)))
    assert "<style" not in drill_chart(shown, "", Axes.of((shown,)), style=False)


def test_twenty_thousand_calls_are_drawn_in_a_moment_and_no_pause_of_them_is_lost() -> None:
    samples = tuple(Sample(number / 1000, True, 5.0 if number == 7_777 else 0.001, "") for number in range(20_000))
    long = ArmView(Arm.TREATMENT, samples=samples, seconds=20)
    began = time.monotonic()
    svg = drill_chart(long, "", Axes.of((long,)))
    assert time.monotonic() - began < 1
    assert len(svg) < 100_000
    dots = next(element for element in parsed(svg).iter() if element.get("class") == "held").get("d", "")
    highest = min(float(dot.split(" ")[1].removesuffix("h0")) for dot in dots.split("M")[1:])
    assert highest < 70


@given(
    st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.floats(0, 100), st.text(max_size=10)), max_size=30),
    st.none() | st.floats(0, 60),
    st.text(max_size=80),
)
def test_whatever_was_sampled_the_chart_is_well_formed(
    samples: list[tuple[float, bool, float, str]], fault: float | None, words: str
) -> None:
    printable = "".join(letter for letter in words if letter.isprintable())
    shown = ArmView(Arm.PLACEBO, samples=tuple(Sample(*one) for one in samples), fault_began=fault, seconds=60)
    assert parsed(drill_chart(shown, printable, Axes.of((shown,)))).tag == f"{SVG}svg"
