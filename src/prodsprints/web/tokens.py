"""Who carries which token: API tokens, single-use login links and sessions; kept only as SHA-256 digests."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from prodsprints.kernel import files
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database, one, patient

Purpose = Literal["api", "login", "session"]

LOGIN_SECONDS = 60
SESSION_SECONDS = 12 * 3600
_API_SECONDS = 365 * 86_400
_RENEW_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Token:
    """A token that was just made. Its `value` exists here and with its bearer only: keep it out of logs."""

    value: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


@dataclass(frozen=True)
class Bearer:
    """Who a token speaks for."""

    tenant_id: UUID
    actor: str


def ensure_api_token(db: Database, settings: Settings, tenant_id: UUID, *, actor: str) -> Path:
    """Have a token for this machine's command line in `<home>/secrets/api-token`; one that is still good stays."""
    path = settings.home / "secrets" / "api-token"
    with suppress(FileNotFoundError):
        if look_up(db, path.read_text(errors="replace").strip(), {"api"}, valid_for_seconds=_RENEW_SECONDS):
            return path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = mint(db, tenant_id, actor=actor, purpose="api", seconds=_API_SECONDS)
    files.replace(path, token.value.encode() + b"\n")
    return path


def mint(db: Database, tenant_id: UUID, *, actor: str, purpose: Purpose, seconds: float) -> Token:
    """Make a token that speaks for `actor` for so long; the database keeps its digest only."""
    value = f"prodsprints_{purpose}_{secrets.token_urlsafe(32)}"
    with db.tenant(tenant_id) as connection:
        row = one(
            connection.execute(
                """
                insert into tokens (digest, purpose, actor, expires_at)
                values (%s, %s, %s, now() + make_interval(secs => %s)) returning expires_at
                """,
                [_digest(value), purpose, actor, seconds],
            ).fetchone()
        )
    return Token(value, row["expires_at"])


@patient
def look_up(db: Database, value: str, purposes: Collection[Purpose], *, valid_for_seconds: float = 0) -> Bearer | None:
    """Who `value` speaks for, or None if it is unknown, over, or made for something else."""
    with db.auth() as connection:
        row = connection.execute(
            """
            select tenant_id, actor, digest from tokens
            where digest = %s and purpose = any(%s) and used_at is null
              and expires_at > now() + make_interval(secs => %s)
            """,
            [_digest(value), list(purposes), valid_for_seconds],
        ).fetchone()
    # The index compares digests of 256 random bits, which no timing helps to guess; this keeps it so if that changes.
    if row is None or not hmac.compare_digest(row["digest"], _digest(value)):
        return None
    return Bearer(row["tenant_id"], row["actor"])


def spend_login(db: Database, code: str) -> tuple[Bearer, Token] | None:
    """Turn a login link's code into a session, once; None if it is unknown, over or spent."""
    with db.auth() as connection:
        row = connection.execute(
            """
            update tokens set used_at = now()
            where digest = %s and purpose = 'login' and used_at is null and expires_at > now()
            returning tenant_id, actor
            """,
            [_digest(code)],
        ).fetchone()
        connection.execute("delete from tokens where expires_at < now() - interval '1 day'")
    if row is None:
        return None
    bearer = Bearer(row["tenant_id"], row["actor"])
    return bearer, mint(db, bearer.tenant_id, actor=bearer.actor, purpose="session", seconds=SESSION_SECONDS)


@patient
def revoke(db: Database, value: str) -> None:
    """End a token now; an unknown one is fine."""
    with db.auth() as connection:
        connection.execute("delete from tokens where digest = %s", [_digest(value)])


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="replace")).digest()
