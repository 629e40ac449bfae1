"""The cores first for this process and what it starts, where it may have them: others' work between
two measurements does not matter, but in the middle of one it is all that is measured."""

import os
import pathlib
import re

HIGHEST = -20


def autogroup(pid):
    """Linux shares the cores among sessions before it looks at what they run; this file has a
    session's own nice value."""
    return pathlib.Path(f"/proc/{pid}/autogroup")


def set_autogroup(pid, nice):
    autogroup(pid).write_text(str(nice), encoding="ascii")


def take(guard):
    """For as long as the guard. Without the right to it, all is as it was."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, HIGHEST)
        leader = os.getsid(0)
        before = re.search(r"nice (-?\d+)", autogroup(leader).read_text(encoding="ascii"))
        # Where it is the highest, another comparison of the session took it, and gives it back.
        if before and int(before[1]) != HIGHEST:
            guard.add("autogroup", f"{leader}:{before[1]}")
            set_autogroup(leader, HIGHEST)
    except OSError:
        pass
