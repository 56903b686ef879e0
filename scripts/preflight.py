"""Whether this machine can run ProdSprints at all, asked before anything is installed; any Python 3 can run it."""

import platform
import shutil
import sys


def problems():
    """Every reason why not, each with what to do."""
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        yield "Python 3.11 or newer is needed; %s is %s." % (sys.executable, found), "Choose one: make PYTHON=python3.12 run"
    try:
        import venv  # noqa: F401
        import ensurepip  # noqa: F401
    except ImportError:
        yield "This Python cannot create virtual environments.", "On Debian and Ubuntu: apt install python3-venv"
    if shutil.which("git") is None:
        yield "git is not on the PATH.", "Install it, then try again."
    if sys.platform.startswith("linux"):
        yield from linux_problems(platform.libc_ver())
    elif sys.platform == "darwin":
        yield from macos_problems(platform.mac_ver()[0], platform.machine())
    else:
        yield "ProdSprints runs on Linux and macOS, not on %s." % sys.platform, "On Windows use WSL 2."


def linux_problems(libc):
    """`libc` as platform.libc_ver gives it: Envoy's wheel needs glibc 2.31."""
    name, version = libc
    if name != "glibc":
        yield "Envoy's wheel needs glibc; this system has another libc.", "Use Debian, Ubuntu, Fedora or the like."
    elif numbers(version) < (2, 31):
        yield "Envoy's wheel needs glibc 2.31 or newer; this is %s." % version, "Use Debian 11, Ubuntu 20.04, RHEL 9 or newer."


def macos_problems(version, machine):
    """Envoy's wheel for macOS is for 15 and newer, on Apple silicon."""
    if machine != "arm64" or numbers(version) < (15,):
        yield (
            "Envoy's wheel needs macOS 15 or newer on Apple silicon; this is %s on %s." % (version, machine),
            "Update macOS, or use a Linux virtual machine.",
        )


def numbers(version):
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def main():
    found = list(problems())
    for what, next_step in found:
        sys.stderr.write("✗ %s\n→ %s\n" % (what, next_step))
    return 64 if found else 0


if __name__ == "__main__":
    sys.exit(main())
