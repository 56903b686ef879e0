"""The rollout: bring the new version up beside the old one, give it a growing share, and let the verdict decide."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prodsprints.release import progress, records
from prodsprints.release.config import Rollout
from prodsprints.release.errors import AbortRequestedError, RolloutError
from prodsprints.release.run import Outcome, Run
from prodsprints.release.targets import Counted, Instance, Workload
from prodsprints.release.verdict import Judge, Policy, Tick, Verdict
from prodsprints.runtime.values import Arm
from prodsprints.store.errors import DatabaseUnavailableError

TICK_SECONDS = 1.0
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 3.0
_START_SECONDS = 90.0


def roll_out(run: Run, workload: Workload, plan: Rollout) -> Outcome:
    """Start the new version and shift traffic to it step by step; ends with `detail["decision"]`.

    `keep`: it may take all traffic. `reject`: it may not, and does not receive any now. The step can be resumed at any
    point: what was counted is in the ledger of ticks, and who serves is in the route.
    """
    stable = _stable(run)
    _start(run, workload)
    if stable is None or plan.strategy == "direct":
        return Outcome("done", _uncompared(run, stable), {"decision": "keep", "compared": False})
    canary = _Canary(run, workload.label, stable, plan)
    try:
        return canary.go()
    except AbortRequestedError as error:
        back = canary.give_back()
        return Outcome("done", error.what, {"decision": "reject", "aborted": True, "rollback_seconds": back})
    except DatabaseUnavailableError:
        canary.give_back()  # nobody could abort it now, nor its verdict be recorded
        raise


def keep(run: Run) -> Outcome:
    """Give the new version all traffic, watch it settle, then drain the old one, which stays warm until then."""
    new = run.release.id.hex
    old = [arm for arm in _arms(run) if arm.instance != new]
    route = run.target.set_route(run.environment.key, [Arm(new, run.release.label, 100)], run.fencing_token)
    run.say(f"{run.release.label} serves every request on port {route.port}.", "route", weight=100)
    run.flush()
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        broken = _broken(run.target.instance(new))
        if broken:
            if not old:
                raise RolloutError(
                    f"{run.release.label} broke right after it took all traffic.", why=broken, next_step=_CORRECT
                )
            back = run.target.set_route(
                run.environment.key, [Arm(old[0].instance, old[0].label, 100)], run.fencing_token
            )
            detail = {"decision": "reject", "rollback_seconds": back.confirmed_seconds, "why": broken}
            return Outcome("failed", f"{run.release.label} broke right after it took all traffic: {broken}", detail)
        time.sleep(_POLL_SECONDS)
    for arm in old:
        run.target.stop(arm.instance, run.fencing_token)
        run.say(f"{arm.label} drained and stopped.")
    return Outcome("done", f"{run.release.label} serves every request.", {"port": route.port})


def roll_back(run: Run) -> Outcome:
    """Let the version that served before serve every request again, and stop the new one."""
    new = run.release.id.hex
    old = [arm for arm in _arms(run) if arm.instance != new] or _current(run)
    if old:
        route = run.target.set_route(run.environment.key, [Arm(old[0].instance, old[0].label, 100)], run.fencing_token)
        summary = f"{old[0].label} serves every request again."
        run.say(summary, "route", weight=0)
        run.flush()
        detail = {"port": route.port, "confirmed_seconds": route.confirmed_seconds}
    else:
        run.target.drop_route(run.environment.key, run.fencing_token)
        summary, detail = "Nothing serves this environment: there was no version before this one.", {}
    run.target.stop(new, run.fencing_token)
    return Outcome("done", summary, detail)


def _start(run: Run, workload: Workload) -> None:
    new = run.release.id.hex
    run.target.start(run.environment.key, new, workload, run.fencing_token)
    run.say(f"Starting {workload.label} ({workload.digest[:19]}…).")
    run.flush()
    deadline = time.monotonic() + _START_SECONDS
    while True:
        instance = run.target.instance(new)
        if instance is not None and instance.state == "healthy":
            run.say(f"{workload.label} is healthy.")
            return
        if instance is None or instance.state in {"failed", "exited", "stopped"} or time.monotonic() > deadline:
            reason = instance.reason if instance else "The node does not know it."
            run.target.stop(new, run.fencing_token)
            raise RolloutError(f"{workload.label} did not become healthy.", why=reason, next_step=_CORRECT)
        run.check()
        time.sleep(_POLL_SECONDS)


def _uncompared(run: Run, stable: Arm | None) -> str:
    """Why it takes all traffic at once; also read long afterwards, as the reason of the release."""
    if stable is None and run.release.kind == "rollback":
        return "Healthy. Nothing serves here now, so it takes every request at once."
    if stable is None:
        return "Healthy. Nothing served here before, so there was nothing to compare it with."
    if run.release.kind == "rollback":
        return f"Healthy. A rollback takes over from {stable.label} at once, without a canary."
    return f"Healthy. It takes over from {stable.label} at once, without a canary: by strategy `direct`."


class _Canary:
    """Two arms side by side, one look a second."""

    def __init__(self, run: Run, label: str, stable: Arm, plan: Rollout) -> None:
        self._run = run
        self._new = run.release.id.hex
        self._label = label
        self._stable = stable
        self._plan = plan
        self._weights = [int(weight) for weight in plan.steps if weight < 100]
        policy = Policy(delta=plan.delta, minimum_requests=plan.minimum_requests)
        self._judge = Judge(policy, canary=label, stable=stable.label)
        self._ticks = progress.ticks(run.db, run.release.tenant_id, run.release.id)
        for tick in self._ticks:
            self._judge.look(tick)

    def go(self) -> Outcome:
        """Walk the steps; return as soon as the verdict, a person, a crash or the time-out decides."""
        position = self._position()
        self._shift(self._weights[position])
        offset = self._ticks[-1].at if self._ticks else 0.0
        began = time.monotonic() - offset
        in_step = self._seconds_in_step(self._weights[position])
        step_began = time.monotonic() - in_step
        before = self._counted()
        next_tick = time.monotonic() + TICK_SECONDS
        while True:
            broken = self._wait_until(next_tick)
            next_tick += TICK_SECONDS
            now = self._counted()
            tick = self._tick(time.monotonic() - began, self._weights[position], before, now)
            before = now
            verdict = self._judge.look(tick)
            ended = self._ended(verdict, broken, time.monotonic() - began)
            progress.add_tick(
                self._run.db,
                self._run.release.tenant_id,
                self._run.release.id,
                len(self._ticks),
                tick,
                fencing_token=self._run.fencing_token,
            )
            self._ticks.append(tick)
            self._report(verdict, tick)
            if ended:
                return ended
            self._run.check()
            if time.monotonic() - step_began < self._plan.step_seconds:
                continue
            if position + 1 < len(self._weights):
                position += 1
                step_began = time.monotonic()
                self._shift(self._weights[position])
            elif verdict.decision == "keep":
                return Outcome("done", verdict.sentence, {**verdict.as_json(), "decision": "keep", "compared": True})

    def give_back(self) -> float:
        """Let the stable version serve every request; returns the seconds until the proxy confirmed it."""
        began = time.monotonic()
        stable = Arm(self._stable.instance, self._stable.label, 100)
        self._run.target.set_route(self._run.environment.key, [stable], self._run.fencing_token)
        return round(time.monotonic() - began, 3)

    def _ended(self, verdict: Verdict, broken: str, seconds: float) -> Outcome | None:
        """What ends the canary now, if anything does. Traffic goes back before anything is written down."""
        if broken:
            why = f"{self._label} broke: {broken}"
        elif verdict.decision == "reject":
            why = verdict.sentence
        elif self._run.promote_requested():
            summary = f"Promoted by hand before the verdict. {verdict.sentence}"
            return Outcome("done", summary, {**verdict.as_json(), "decision": "keep", "promoted": True})
        elif seconds > self._plan.timeout:
            why = f"{verdict.sentence} Send it more traffic, or release with `--strategy direct`."
        else:
            return None
        back = self.give_back()
        detail = {
            **verdict.as_json(),
            "decision": "reject",
            "verdict_seconds": round(seconds, 3),
            "rollback_seconds": back,
        }
        if not broken and verdict.decision != "reject":
            detail["insufficient"] = True
        return Outcome("done", why, detail)

    def _position(self) -> int:
        """Where to go on: at the weight that the route has now (a resumed step), else at the first."""
        shares = {arm.instance: arm.weight for arm in _arms(self._run)}
        weight = shares.get(self._new, 0)
        return self._weights.index(weight) if weight in self._weights else 0

    def _seconds_in_step(self, weight: int) -> float:
        return sum(TICK_SECONDS for tick in self._ticks if tick.weight == weight)

    def _shift(self, weight: int) -> None:
        arms = [
            Arm(self._new, self._label, weight),
            Arm(self._stable.instance, self._stable.label, 100 - weight),
        ]
        route = self._run.target.set_route(self._run.environment.key, arms, self._run.fencing_token)
        said = f"{self._label} gets {weight} % of the traffic (confirmed in {1000 * route.confirmed_seconds:.0f} ms)."
        self._run.say(said, "route", weight=weight)
        self._run.flush()

    def _wait_until(self, moment: float) -> str:
        """Sleep until the next look; a crash or a failing health check of the canary is noticed within 0.2 s."""
        while True:
            broken = _broken(self._run.target.instance(self._new))
            left = moment - time.monotonic()
            if broken or left <= 0:
                return broken
            time.sleep(min(_POLL_SECONDS * 2, left))

    def _counted(self) -> Mapping[str, Counted]:
        return self._run.target.counters(self._run.environment.key)

    def _tick(self, at: float, weight: int, before: Mapping[str, Counted], now: Mapping[str, Counted]) -> Tick:
        stable = _since(before.get(self._stable.instance), now.get(self._stable.instance))
        canary = _since(before.get(self._new), now.get(self._new))
        return Tick(
            at=round(at, 3),
            weight=weight,
            stable_requests=stable[0],
            stable_errors=stable[1],
            canary_requests=canary[0],
            canary_errors=canary[1],
        )

    def _report(self, verdict: Verdict, tick: Tick) -> None:
        said = (
            f"{tick.weight:g} %: {verdict.canary.label} erred on {verdict.canary.errors} of {verdict.canary.requests}, "
            f"{verdict.stable.label} {verdict.stable.errors} of {verdict.stable.requests}; {verdict.decision}"
        )
        self._run.say(said, "tick", **verdict.as_json(), weight=tick.weight, at=tick.at)
        self._run.flush()


def _since(before: Counted | None, now: Counted | None) -> tuple[int, int]:
    """Requests and errors between two readings; a proxy that restarted in between began again at zero."""
    if now is None:
        return 0, 0
    if before is None or before.generation != now.generation:
        return now.requests, min(now.errors, now.requests)
    requests = max(0, now.requests - before.requests)
    return requests, min(max(0, now.errors - before.errors), requests)


def _stable(run: Run) -> Arm | None:
    """The arm that serves now, with the greatest share: what the canary is compared with and what we go back to."""
    others = [arm for arm in _arms(run) if arm.instance != run.release.id.hex]
    return max(others, key=lambda arm: arm.weight, default=None)


def _arms(run: Run) -> list[Arm]:
    route = run.target.route(run.environment.key)
    return list(route.arms) if route else []


def _current(run: Run) -> list[Arm]:
    current = run.environment.current_release_id
    known = run.target.instance(current.hex) if current else None
    if current is None or known is None or known.state == "stopped":  # as in a project that comes back
        return []
    release = records.get(run.db, run.release.tenant_id, current)
    return [Arm(current.hex, release.label, 100)] if release else []


def _broken(instance: Instance | None) -> str:
    """Why the instance must not get traffic, or an empty string."""
    if instance is None:
        return "The node no longer knows it."
    if instance.state != "healthy":
        return instance.reason or f"It is {instance.state}."
    return f"It crashed and was restarted: {instance.reason}" if instance.restarts else ""


_CORRECT = (
    "Correct that in the application, commit, and release again; `prodsprints audit` shows how a release starts it."
)
