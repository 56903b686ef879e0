"""What can be wrong with a `prodsprints.yaml`, as its author is told it."""

from __future__ import annotations

from prodsprints.kernel.errors import UsageError


class ConfigError(UsageError):
    """A `prodsprints.yaml` that cannot be meant as it stands; `what` has one line for each problem."""

    code = "release/config"
