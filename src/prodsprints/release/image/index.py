"""The user's package index configuration as a build may see it: nothing else of the platform's environment."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NETWORK = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
# Where and how to fetch; never what to install or where to put it.
_OPTIONS = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy"),
    *("timeout", "default-timeout", "retries", "prefer-binary", "only-binary", "no-binary"),
    *("use-feature", "use-deprecated"),
}


@dataclass(frozen=True)
class PackageIndex:
    """`environment` for the installer, local `paths` that it must be able to read, `secrets` never to be logged."""

    environment: dict[str, str]
    paths: tuple[Path, ...]
    secrets: tuple[str, ...]


def package_index() -> PackageIndex:
    """What pip would use here for this user: its configuration files and PIP_* merged, certificates and proxies."""
    environment = {
        spelling: os.environ[spelling]
        for name in _NETWORK
        for spelling in (name, name.lower())
        if os.environ.get(spelling)
    }
    for option, value in _configured().items():
        if option in _OPTIONS:
            environment[f"PIP_{option.upper().replace('-', '_')}"] = " ".join(value.split())
    words = [word for value in environment.values() for word in value.split()]
    secrets = [part for word in words for part in _credentials(word)]
    return PackageIndex(environment, tuple(path for word in words for path in _local(word)), tuple(secrets))


def _configured() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {option: value for section in found.values() for option, value in section.items()}


def _credentials(word: str) -> list[str]:
    if "@" not in word or "://" not in word:
        return []
    url = urlsplit(word)
    stated = [part for part in (url.password, url.username if url.password is None else None) if part]
    return [*stated, *(unquote(part) for part in stated)]


def _local(word: str) -> list[Path]:
    if word.startswith("file:"):  # an index refers to its files by ../
        path = Path(unquote(urlsplit(word).path))
        return [found for found in (path, path.parent) if found.exists()]
    return [Path(word)] if word.startswith("/") and Path(word).exists() else []
