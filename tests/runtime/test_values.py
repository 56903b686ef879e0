"""What the node agent accepts, and what it refuses before acting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.runtime.errors import InvalidRequestError
from prodsprints.runtime.values import InstanceSpec, environment_key, fencing_token, identifier, parse_arms

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def _document(directory: Path, **changes: Any) -> dict[str, Any]:
    return {
        "environment": "t.shop.production",
        "release": "r-1",
        "label": "v1",
        "digest": "sha256:" + "a" * 64,
        "rootfs": str(directory),
        "argv": ["python", "-m", "shop"],
        "env": {"A": "b"},
        "fencing_token": 3,
        **changes,
    }


def test_a_spec_survives_the_way_through_json(tmp_path: Path) -> None:
    spec = InstanceSpec.parse(_document(tmp_path, prepare=[["a", "b"]]))
    assert InstanceSpec.parse(spec.document()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"argv": []},
        {"argv": ["a\0b"]},
        {"env": {"LD_PRELOAD": "x"}},
        {"env": {"A": 1}},
        {"env": {"A=B": "x"}},
        {"workdir": "../.."},
        {"workdir": "/etc"},
        {"rootfs": "unpacked"},
        {"rootfs": "/no/such/directory"},
        {"digest": "latest"},
        {"label": "two words"},
        {"environment": "a/b"},
        {"health_path": "healthz"},
        {"health_path": "/a\r\nX: y"},
        {"grace_seconds": float("nan")},
        {"start_timeout_seconds": 1e9},
        {"memory_bytes": True},
        {"surprise": 1},
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        InstanceSpec.parse(_document(tmp_path, **change))


@given(st.lists(st.integers(-5, 105), max_size=12))
def test_only_weights_that_are_percents_and_sum_to_100_make_a_route(weights: list[int]) -> None:
    arms = [{"instance": f"i{n}", "label": "v", "weight": weight} for n, weight in enumerate(weights)]
    fits = 1 <= len(weights) <= 10 and sum(weights) == 100 and all(0 <= weight <= 100 for weight in weights)
    if fits:
        assert [arm.weight for arm in parse_arms(arms)] == weights
    else:
        with pytest.raises(InvalidRequestError):
            parse_arms(arms)


@given(JSON)
def test_nothing_but_our_own_errors_comes_of_any_json(document: Any) -> None:
    for parse in (parse_arms, fencing_token, identifier, environment_key):
        try:
            parse(document)
        except InvalidRequestError as error:
            assert error.next_step
    if isinstance(document, dict):
        with pytest.raises(InvalidRequestError):
            InstanceSpec.parse(document)
