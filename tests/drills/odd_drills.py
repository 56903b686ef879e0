"""Drills whose probes say what no database and no terminal takes."""

from __future__ import annotations

from dataclasses import replace

from example_drills import Asking, Echo, answers, resets

from prodsprints.drills.experiment import Observation, Probe
from prodsprints.drills.stage import Stage

NAMED = resets.named


def _oddly(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    seen = answers(stage, echo, ask)
    stage.sample(True, 0.001, label="a\0b\ud800")
    return replace(seen, words=f"{seen.words}: \0 \ud800 \x1b[31m")


def _without_a_figure(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    stage.measure("recover_seconds", float("nan"))
    return answers(stage, echo, ask)


odd_words = replace(resets, row="X001.3", probes=(Probe(NAMED, _oddly),))
no_figure = replace(resets, row="X001.3", variant="no-figure", probes=(Probe(NAMED, _without_a_figure),))
