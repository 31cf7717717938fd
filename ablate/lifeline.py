"""A child process that ends with its parent. Standard library only: a child may run under another
interpreter, without ablate, and reads this file by its path.
"""

from __future__ import annotations

import os
import threading


def exit_with_parent() -> None:
    """End this process when the one that started it (``ablate.child``) is gone.

    Otherwise the quantizer of a killed trial would go on beside the next trial's measurement.
    """

    def watch() -> None:
        while os.read(0, 1):  # unbuffered: a lock on sys.stdin would abort a regular exit
            pass
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
