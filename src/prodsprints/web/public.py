"""What the answers for people without a login share: whose page it is, and headers under which anybody may keep it."""

from __future__ import annotations

import hashlib
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from prodsprints.controls.integrations.status_page import StatusPage
from prodsprints.web.errors import NotFoundError
from prodsprints.web.site import Site

_NOT_MODIFIED = 304


def public_page(here: Site, tenant: str | None) -> tuple[StatusPage, UUID]:
    """The page of `tenant`, or of the platform's own, and the tenant's id. Raises NotFoundError.

    A tenant without anything public and one that never was are the same to everybody.
    """
    if tenant is None or tenant == here.reader_tenant:
        tenant_id = here.reader_tenant_id()
        return here.status_pages.read(here.db, tenant_id), tenant_id
    found = here.tenant_id(tenant)
    page = None if found is None else here.status_pages.read(here.db, found)
    if found is None or page is None or not (page.services or page.incidents):
        raise NotFoundError(f"There is no status page {tenant[:40]!r}.", next_step="Check the address.")
    return page, found


def as_public(request: Request, body: bytes, media_type: str, *, status: int = 200) -> Response:
    """`body`, which is the same for everybody: anybody may keep it, and has to ask whether it is still so."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": "public, no-cache", "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(body, status_code=status, media_type=media_type, headers=headers)
