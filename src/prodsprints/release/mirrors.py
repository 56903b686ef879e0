"""The mirrors of remote repositories as releases use them: their place, whose credentials count, what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from prodsprints.controls.integrations import git_address, git_way, mirror_records
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.mirror import Mirrors, Noted
from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.redaction import Redactor
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database


def address_of(db: Database, settings: Settings, tenant_id: UUID, text: str) -> Address:
    """The remote repository that `text` is, if that tenant may release from there. Raises BadAddressError."""
    address = git_address.parse(text)
    git_way.allowed(settings.home, mirror_records.tenant_name(db, tenant_id), address)
    return address


def mirrors(
    db: Database, settings: Settings, guards: Guards, tenant_id: UUID, *, learn: Callable[..., None] = lambda *_: None
) -> Mirrors:
    """Those of one tenant on this node; `learn` hears which values are secret."""
    redactor = Redactor()

    def learned(*values: str) -> None:
        redactor.learn(*values)
        learn(*values)

    def note(noted: Noted) -> None:
        # a host may say to us in an error what we said to it
        clean = replace(noted, failure=redactor.text(noted.failure))
        mirror_records.note(db, tenant_id, settings.node, clean)

    return Mirrors(
        settings.home / "mirrors" / tenant_id.hex,
        host_of=git_way.host_of(settings.home, mirror_records.tenant_name(db, tenant_id), guards, learn=learned),
        note=note,
    )
