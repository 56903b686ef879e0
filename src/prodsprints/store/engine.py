"""The durable engine: DBOS on our PostgreSQL, set up so that nothing is pickled and nothing runs twice by default."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from prodsprints.store.address import Address

# The shape of our workflows: raise it when steps are added, removed or reordered, so that a release that began under
# the old shape is not resumed under the new one.
WORKFLOW_SHAPE = "3"
_QUEUE_POLLING_SECONDS = 0.2
_TRACEBACK = "Traceback (most recent call last):"


class Engine:
    """One process's DBOS.

    `queue` names the queue that this process listens to; only taken-over workflows travel through it. Everything else
    starts in the process that claimed it.
    """

    def __init__(self, address: Address, *, worker: str, queue: str) -> None:
        self._queue = queue
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(config=config(address, worker=worker))
        log = logging.getLogger("dbos")  # to where ours goes, redacted, instead of to a handler of its own
        log.handlers.clear()
        log.propagate = True
        log.addFilter(without_traceback)
        DBOS.listen_queues([queue])

    def launch(self) -> None:
        """Start executing. Every workflow must be registered by now."""
        DBOS.launch()
        DBOS.register_queue(self._queue, polling_interval_sec=_QUEUE_POLLING_SECONDS)

    def start(self, workflow: Callable[..., object], workflow_id: str, *arguments: str) -> None:
        """Start `workflow` under `workflow_id`; a second start of the same id does nothing."""
        with SetWorkflowID(workflow_id):
            DBOS.start_workflow(workflow, *arguments)

    def take_over(
        self, workflow: Callable[..., object], workflow_id: str, *arguments: str, alive: Callable[[str], bool]
    ) -> str:
        """Resume a workflow whose worker died; returns what was found, for the log.

        Looks before it acts, since resuming doubles live work and revives finished work: call it under a lock.
        """
        status = DBOS.get_workflow_status(workflow_id)
        if status is None:
            self.start(workflow, workflow_id, *arguments)
            return "started"
        if status.status in {"ENQUEUED", "DELAYED"}:
            return "waiting"
        if status.status == "PENDING":
            if status.executor_id is not None and alive(status.executor_id):
                return "alive"
            DBOS.resume_workflow(workflow_id, queue_name=self._queue)
            return "resumed"
        return "ended"

    def stop(self) -> None:
        """Stop taking work; running steps end with the process and are taken over."""
        DBOS.destroy(workflow_completion_timeout_sec=0)


def config(address: Address, *, worker: str) -> DBOSConfig:
    """DBOS as we use it (ARCHITECTURE.md, "Durable engine"). `worker` must be unique per process."""
    return {
        "name": "prodsprints",
        "system_database_url": address.sqlalchemy_url().render_as_string(hide_password=False),
        "dbos_system_schema": "dbos",
        "application_version": WORKFLOW_SHAPE,
        "executor_id": worker,
        "serializer": DBOSPortableJSONSerializer(),
        "sys_db_pool_size": 8,
        "log_level": "WARNING",
        "enable_otlp": False,
        "scheduler_polling_interval_sec": 30.0,
    }


def without_traceback(record: logging.LogRecord) -> bool:
    """Have a warning of the engine's, such as of a database that is away, say in one line what went wrong."""
    said, found, trace = record.getMessage().partition(_TRACEBACK)
    if found:
        causes = [line for line in trace.splitlines() if line[:1].isalpha() and ": " in line]
        record.msg, record.args = said + (causes or ["it says no more"])[-1], ()
    return True
