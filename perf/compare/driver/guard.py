"""Nothing outlives the coordinator, however it ends: a process that waits for its end and then
removes what it was told of.

Ranks are stopped by SIGSTOP while others work, and could not end by themselves.
"""

import contextlib
import os
import shutil
import signal
import subprocess

import leftovers
import priority
import processes


def undo(kind, what):
    if kind == "folder":
        shutil.rmtree(what, ignore_errors=True)
    elif kind == "autogroup":
        with contextlib.suppress(OSError):  # the session is over
            priority.set_autogroup(*what.split(":"))
    else:
        # Launchers' daemons too live in it.
        inside = subprocess.run(["ip", "netns", "pids", what], capture_output=True, text=True,
                                check=False)
        processes.send(map(int, inside.stdout.split()), signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", what], check=False, stderr=subprocess.DEVNULL)


class Guard:
    """Processes are ended first, then other things are undone in reverse order, and at last files
    of shared memory are removed that peers left since the start. A context: its end, or that of
    the process, undoes all that was not released."""

    def __init__(self):
        files = leftovers.found()
        reading, self._pipe = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._pipe)
            os.setsid()  # what interrupts the coordinator does not reach this process
            with os.fdopen(reading) as lines:
                _wait_and_undo(lines)
            leftovers.remove(files)
            os._exit(0)
        os.close(reading)

    def add(self, kind, what):
        """kind: group (a launcher, which leads it), pid, folder, autogroup or netns."""
        os.write(self._pipe, f"add {kind} {what}\n".encode())

    def release(self, kind, what):
        os.write(self._pipe, f"release {kind} {what}\n".encode())

    def close(self):
        os.close(self._pipe)
        os.waitpid(self._child, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _wait_and_undo(lines):
    things = []
    for line in lines:
        verb, kind, what = line.rstrip("\n").split(" ", 2)
        if verb == "add":
            things.append((kind, what))
        elif (kind, what) in things:
            things.remove((kind, what))
    groups, ranks = ([int(what) for kind, what in things if kind == wanted]
                     for wanted in ("group", "pid"))
    processes.end(groups, ranks)
    for kind, what in reversed(things):
        if kind not in ("group", "pid"):
            undo(kind, what)
