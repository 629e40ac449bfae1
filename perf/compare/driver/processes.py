"""Ending processes that others started: ranks, and the groups that their launchers lead."""

import contextlib
import os
import pathlib
import signal
import time

# A launcher ends what it started elsewhere, and removes its files, if it is asked. In this time.
ENDS_WITHIN_S = 2


# Who has ended, and whose number may be another user's by now.
GONE = contextlib.suppress(ProcessLookupError, PermissionError)


def send(pids, number):
    for pid in pids:
        with GONE:
            os.kill(pid, number)


def send_to_groups(leaders, number):
    for leader in leaders:
        with GONE:
            os.killpg(leader, number)


def runs(pid):
    """Not what has ended and waits for its parent."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] not in "ZX"


def wait(pids, timeout_s):
    deadline = time.monotonic() + timeout_s
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)


def end(leaders, ranks):
    """The launchers are asked; then all that is left of their groups and ranks is killed. Who was
    stopped could do nothing."""
    send(ranks, signal.SIGCONT)
    send_to_groups(leaders, signal.SIGCONT)
    send(leaders, signal.SIGTERM)
    wait(leaders, ENDS_WITHIN_S)
    send([*leaders, *ranks], signal.SIGKILL)
    send_to_groups(leaders, signal.SIGKILL)
    wait([*leaders, *ranks], ENDS_WITHIN_S)
