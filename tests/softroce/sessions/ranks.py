"""This node's ranks of a job: started with Tutti's variables, watched, and ended for certain."""

import os
import re
import signal
import subprocess
import threading
import time

END_S = 60


class TimedOut(Exception):
    """A job or a line of its output did not come in time."""


class Process:
    """One process, whose output is collected as it comes."""

    def __init__(self, name, command, environment):
        self.name = name
        self.code = None
        self.lines = []
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, env=environment, text=True,
                                         errors="replace", start_new_session=True)
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        code = self._process.wait()
        with self._changed:
            self.code = code
            self._changed.notify_all()

    def wait(self, end):
        with self._changed:
            self._changed.wait_for(lambda: self.code is not None,
                                   max(0, end - time.monotonic()))
            return self.code is not None

    def wait_for(self, pattern, limit_s):
        """The first line that matches; an error when the rank ends or the time passes before."""
        def found():
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.code is not None, limit_s)
            if not found():
                raise TimedOut(f"{self.name} did not say '{pattern}' "
                               + (f"within {limit_s} s" if self.code is None else
                                  f"before it ended with status {self.code}"))
            return found()

    def signal(self, number):
        if self.code is None:
            os.killpg(self._process.pid, number)

    def end(self):
        self.signal(signal.SIGKILL)
        self.wait(time.monotonic() + END_S)


class Job:
    """The ranks of one job that run here; the other node starts the others."""

    def __init__(self, command, node, nodes, per_node, rendezvous, environment):
        self.ranks = []
        for local in range(per_node):
            number = node * per_node + local
            variables = {"TUTTI_RANK": str(number), "TUTTI_SIZE": str(nodes * per_node),
                         "TUTTI_LOCAL_RANK": str(local), "TUTTI_LOCAL_SIZE": str(per_node),
                         "TUTTI_RENDEZVOUS": rendezvous, **environment}
            self.ranks.append(Process(f"rank {number}", command, {**os.environ, **variables}))

    def wait(self, limit_s):
        end = time.monotonic() + limit_s
        if not all(rank.wait(end) for rank in self.ranks):
            running = ", ".join(rank.name for rank in self.ranks if rank.code is None)
            raise TimedOut(f"still running after {limit_s} s: {running}")

    def end(self):
        for rank in self.ranks:
            rank.end()

    def text(self):
        return "\n".join(f"[{rank.name}] {line}" for rank in self.ranks for line in rank.lines)
