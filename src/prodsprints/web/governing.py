"""What a caller may do to the register: the one set of functions behind the API and the page's buttons."""

from __future__ import annotations

import logging
from uuid import UUID

from prodsprints.register import documents
from prodsprints.register.documents import Imported
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)


def import_document(here: Site, caller: Caller, markdown: str, *, id: UUID) -> Imported:
    """Make a risk document the tenant's register. Raises RegisterError, with lines."""
    came = documents.import_document(
        here.db, here.ledger(caller.tenant_id), id=id, markdown=markdown, actor=caller.actor
    )
    _log.info("%s imported version %s of the risk document", caller.actor, came.version)
    return came
