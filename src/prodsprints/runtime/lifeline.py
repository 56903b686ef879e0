"""How a child of the supervisor learns that its parent is gone: an inherited pipe that reaches its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

VARIABLE = "PRODSPRINTS_LIFELINE"


def watch(on_parent_death: Callable[[], None]) -> bool:
    """Call `on_parent_death`, in a thread, once the supervisor that started this process is gone.

    Returns whether there is a supervisor at all. The pipe is kept from this process's own children.
    """
    number = os.environ.pop(VARIABLE, "")
    if not number.isdecimal():
        return False
    descriptor = int(number)
    try:
        os.set_inheritable(descriptor, False)
    except OSError:  # the variable came from elsewhere
        return False

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        on_parent_death()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
    return True
