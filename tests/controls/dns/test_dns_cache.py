"""How long an address may be used, for any times and any clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.dns.cache import Bounds, Cache, Freshness, Known

BOUNDS = Bounds(floor_seconds=10, ceiling_seconds=100, prefetch_share=0.1, stale_seconds=1000, rest_seconds=30)
seconds = st.floats(min_value=0, max_value=1e6)


def known(ttl: float = 50, failed_at: float | None = None) -> Known:
    return Known(("127.0.0.1",), ttl, 0.0, failed_at)


@given(st.floats(min_value=0, max_value=2**31))
def test_a_time_to_live_counts_between_floor_and_ceiling(ttl: float) -> None:
    lifetime = BOUNDS.lifetime(ttl)
    assert 10 <= lifetime <= 100
    assert lifetime == ttl or not 10 <= ttl <= 100


def test_an_address_is_fresh_then_due_then_expired_then_gone() -> None:
    ages = (0, 44.9, 45, 49.9, 50, 1049.9, 1050)
    assert [BOUNDS.freshness(known(), age) for age in ages] == [
        *(Freshness.FRESH, Freshness.FRESH, Freshness.DUE, Freshness.DUE),
        *(Freshness.EXPIRED, Freshness.EXPIRED, Freshness.GONE),
    ]


def test_after_a_failure_nobody_asks_for_a_while() -> None:
    assert BOUNDS.freshness(known(failed_at=60), 89.9) is Freshness.RESTING
    assert BOUNDS.freshness(known(failed_at=60), 90) is Freshness.EXPIRED
    assert BOUNDS.freshness(known(failed_at=1040), 1050) is Freshness.GONE


@given(seconds, seconds, seconds)
def test_an_address_never_becomes_younger(ttl: float, first: float, later: float) -> None:
    order = list(Freshness)
    earlier, after = sorted((first, later))
    assert order.index(BOUNDS.freshness(known(ttl), earlier)) <= order.index(BOUNDS.freshness(known(ttl), after))


def test_the_least_used_name_makes_room() -> None:
    cache = Cache()
    for number in range(1_000):
        cache.put(f"{number}.test.", known())
    cache.get("0.test.")
    cache.put("one-more.test.", known())
    assert len(cache) == 1_000
    assert cache.get("0.test.") is not None
    assert cache.get("1.test.") is None
