"""What can keep a benchmark from running, each with what to do next."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError, UsageError


class UnknownBenchError(UsageError):
    """No benchmark has that name."""

    code = "bench/unknown"
    http_status = 404


class MissingPackageError(ProdSprintsError):
    """A benchmark needs a package that only the `bench` extra installs."""

    code = "bench/missing-package"
