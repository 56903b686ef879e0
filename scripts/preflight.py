"""Whether this machine can run ProdSprints at all, asked before anything is installed: for any Python from 3.6 on."""

import platform
import shutil
import sys

OLDEST_PYTHON = (3, 11)
OLDEST_GLIBC = (2, 31)
OLDEST_MACOS = (15,)


def main():
    """0 when it can; else 64, and each reason with what to do on stderr."""
    found = [*python_problems(sys.version_info[:3]), *program_problems(), *system_problems()]
    for what, next_step in found:
        sys.stderr.write(f"✗ {what}\n→ {next_step}\n")
    return 64 if found else 0


def python_problems(version):
    if version < OLDEST_PYTHON:
        found = ".".join(map(str, version))
        yield f"Python 3.11 or newer is needed; {sys.executable} is {found}.", "Choose one: make run PYTHON=python3.12"


def program_problems():
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        yield "This Python cannot create virtual environments.", "On Debian and Ubuntu: apt install python3-venv"
    if shutil.which("git") is None:
        yield "git is not on the PATH.", "Install it, then try again."


def system_problems():
    if sys.platform.startswith("linux"):
        return linux_problems(*platform.libc_ver())
    if sys.platform == "darwin":
        return macos_problems(platform.mac_ver()[0], platform.machine())
    return [(f"ProdSprints runs on Linux and macOS, not on {sys.platform}.", "On Windows use WSL 2.")]


def linux_problems(libc, version):
    """As platform.libc_ver names them; it is the wheel of Envoy that asks for so much."""
    if libc != "glibc":
        yield "Envoy's wheel needs glibc; this system has another libc.", "Use Debian, Ubuntu, Fedora or the like."
    elif numbers(version) < OLDEST_GLIBC:
        yield (
            f"Envoy's wheel needs glibc 2.31 or newer; this is {version}.",
            "Use Debian 11, Ubuntu 20.04, RHEL 9 or newer.",
        )


def macos_problems(version, machine):
    if machine != "arm64" or numbers(version) < OLDEST_MACOS:
        yield (
            f"Envoy's wheel needs macOS 15 or newer on Apple silicon; this is {version} on {machine}.",
            "Update macOS, or use a Linux virtual machine.",
        )


def numbers(version):
    return tuple(int(part) for part in version.split(".") if part.isdigit())


if __name__ == "__main__":
    sys.exit(main())
