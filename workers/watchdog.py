"""The end of a worker process whose event loop is stuck: nobody else would end it."""

import asyncio
import faulthandler
import math
import os
import threading

BEAT_S = 1.0
STDERR = 2


def watch(loop: asyncio.AbstractEventLoop, patience_s: float, ended: threading.Event) -> None:
    """Exit, with a traceback of every thread, once the loop is stuck for `patience_s`.

    Runs in a thread of its own until `ended`.
    """
    # Beats are counted, not seconds: a process that was stopped as a whole is not stuck.
    beats = math.ceil(patience_s / BEAT_S)
    while not ended.wait(BEAT_S):
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        if not any(answered.wait(BEAT_S) for _ in range(beats)) and not ended.is_set():
            os.write(STDERR, b"The event loop is stuck: this process ends.\n")
            faulthandler.dump_traceback(STDERR)
            os._exit(1)
