from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsprints.kernel.errors import UsageError
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError
from prodsprints.web.errors import IdempotencyInFlightError, IdempotencyMismatchError
from prodsprints.web.idempotency import Answer, once
from web.support_workshop import another_tenant


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from(["x", "y"]), st.sampled_from(["answers", "refuses", "breaks"])
        ),
        max_size=8,
    )
)
def test_under_one_key_at_most_one_request_acts_and_all_are_answered_alike(
    database: Database, tenant: UUID, requests: list[tuple[str, str, str]]
) -> None:
    run = uuid4().hex
    settled: dict[str, tuple[str, Answer]] = {}
    first_asked: dict[str, str] = {}
    ids: dict[str, set[UUID]] = {}
    for name, payload, behaviour in requests:
        key = f"{run}-{name}"
        acted = []

        def perform(id: UUID, behaviour: str = behaviour, acted: list[UUID] = acted) -> Answer:
            acted.append(id)
            if behaviour == "breaks":
                raise DatabaseUnavailableError("away", next_step="wait")
            if behaviour == "refuses":
                raise UsageError("no", next_step="ask otherwise")
            return Answer(202, {"id": str(id)})

        try:
            answer = once(database, tenant, key, payload, perform)
        except IdempotencyMismatchError:
            assert payload != first_asked[key]
            assert not acted
            continue
        except DatabaseUnavailableError:
            assert behaviour == "breaks"
            assert key not in settled
            first_asked.setdefault(key, payload)
            ids.setdefault(key, set()).update(acted)
            continue
        assert first_asked.setdefault(key, payload) == payload
        ids.setdefault(key, set()).update(acted)
        if key in settled:
            assert not acted
            assert answer.replayed
            assert (answer.status, answer.body) == (settled[key][1].status, settled[key][1].body)
        else:
            assert acted
            settled[key] = (payload, answer)
        assert len(ids[key]) == 1


def test_while_the_first_is_being_answered_the_second_is_told_so(database: Database, tenant: UUID) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(_: UUID) -> Answer:
        begun.set()
        assert go_on.wait(10)
        return Answer(202, {})

    first = threading.Thread(target=once, args=(database, tenant, "k", "asked", slowly))
    first.start()
    assert begun.wait(10)
    with pytest.raises(IdempotencyInFlightError):
        once(database, tenant, "k", "asked", lambda _: Answer(202, {}))
    go_on.set()
    first.join(10)
    assert once(database, tenant, "k", "asked", slowly).replayed


def test_a_request_whose_server_died_can_be_sent_again_and_acts_under_the_same_id(
    database: Database, tenant: UUID
) -> None:
    seen: list[UUID] = []

    def dying(id: UUID) -> Answer:
        seen.append(id)
        raise SystemExit

    with pytest.raises(SystemExit):
        once(database, tenant, "k", "asked", dying)
    once(database, tenant, "k", "asked", lambda id: Answer(202, {"id": str(id)}) if not seen.append(id) else None)
    assert len(set(seen)) == 1


def test_keys_of_different_tenants_have_nothing_to_do_with_each_other(database: Database, tenant: UUID) -> None:
    other = another_tenant(database)
    assert once(database, tenant, "k", "a", lambda _: Answer(200, {"of": "one"})).body == {"of": "one"}
    assert once(database, other, "k", "b", lambda _: Answer(200, {"of": "other"})).body == {"of": "other"}
