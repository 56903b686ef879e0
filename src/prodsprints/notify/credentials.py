"""Secrets of channels: read from a file or a variable that the configuration names, and never written anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from prodsprints.notify.config import refuse_exposed
from prodsprints.notify.errors import NotifyConfigError

_LONGEST = 4_096


def read(what: str, *, file: str | None, variable: str | None, home: Path) -> str:
    """The secret `what`, from `file` (a relative one lies below `home`) or the environment's `variable`.

    Raises NotifyConfigError, which names the place and never the secret.
    """
    if file is not None:
        return _of_file(what, home / Path(file).expanduser())
    value = os.environ.get(variable or "", "").strip()
    if not value:
        raise NotifyConfigError(
            f"The variable {variable} of {what} is not set in this process.",
            next_step="Set it where the workers are started, or name a file instead.",
        )
    return _refusing_controls(what, value)


def _of_file(what: str, path: Path) -> str:
    try:
        refuse_exposed(path)
        with path.open("rb") as stream:
            value = stream.read(_LONGEST + 1).decode().strip()
    except OSError as error:
        raise NotifyConfigError(
            f"The file {path} of {what} cannot be read: {error.strerror}.",
            next_step="Put the secret into it, for its owner alone (mode 0600).",
        ) from None
    except UnicodeDecodeError:
        value = ""
    if not value or len(value) > _LONGEST:
        raise NotifyConfigError(
            f"The file {path} of {what} holds no secret.", next_step="Write just the secret into it, as one line."
        )
    return _refusing_controls(what, value)


def _refusing_controls(what: str, value: str) -> str:
    if not value.isprintable():
        raise NotifyConfigError(
            f"What is kept as {what} has several lines or control characters.",
            next_step="Write just the secret, as one line.",
        )
    return value
