"""Taking the environments of deleted projects out of service: nothing routed, nothing running, the address silent."""

from __future__ import annotations

import logging
import threading

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.release import dispatch, records
from prodsprints.release.dispatch import Withdrawal
from prodsprints.release.targets import Target
from prodsprints.store.database import Database

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_AFTER_TROUBLE_SECONDS = 5.0


class Withdrawals:
    """One worker's thread for it, apart from releases: draining an instance takes as long as its slowest request."""

    def __init__(self, db: Database, target: Target, *, worker: str, node: str) -> None:
        self._db = db
        self._target = target
        self._worker = worker
        self._node = node
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="withdrawals", daemon=True)

    def start(self) -> None:
        """Begin to look for them."""
        self._thread.start()

    def stop(self) -> None:
        """Take no further one; what is under way is done again by the next worker."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _look(self) -> None:
        pause = _LOOK_SECONDS
        while not self._stop.wait(pause):
            pause = _LOOK_SECONDS
            try:
                while not self._stop.is_set() and (
                    claim := dispatch.claim_withdrawal(self._db, worker=self._worker, node=self._node)
                ):
                    self._carry_out(claim)
            except ProdSprintsError as error:
                _log.warning("a deleted project still serves: %s", error)
                pause = _AFTER_TROUBLE_SECONDS
            except Exception:
                _log.exception("withdrawals")
                pause = _AFTER_TROUBLE_SECONDS

    def _carry_out(self, claim: Withdrawal) -> None:
        environment = records.to_withdraw(self._db, claim.tenant_id, claim.environment_id)
        try:
            if environment is not None:
                withdraw(self._target, environment, claim.fencing_token)
                records.set_withdrawn(self._db, environment)
                _log.info("environment %s of a deleted project is out of service", environment.id)
        finally:
            dispatch.let_go(
                self._db,
                claim.tenant_id,
                resource=f"environment:{claim.environment_id}",
                worker=self._worker,
                fencing_token=claim.fencing_token,
            )


def withdraw(target: Target, environment: records.Environment, fencing_token: int) -> None:
    """First the route, so that nobody is sent to what ends; then every instance. The port stays the environment's."""
    route = target.route(environment.key)
    serving = {arm.instance for arm in route.arms} if route else set()
    if environment.current_release_id is not None:
        serving.add(environment.current_release_id.hex)  # its route may be gone already, from an earlier try
    target.drop_route(environment.key, fencing_token)
    for instance in sorted(serving):
        target.stop(instance, fencing_token)
