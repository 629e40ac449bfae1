"""One program on all its ranks, which waits for commands until the comparison ends."""

import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

import processes

START_TIMEOUT_S = 60
# Of a command. Who hangs costs the comparison so much, once.
ANSWER_TIMEOUT_S = 60
CLOSE_TIMEOUT_S = 5


class JobFailed(Exception):
    """What happened, for the program's row of the report."""


class Hung(JobFailed):
    """It did not answer in time."""


class Unsupported(Exception):
    """The library has no such collective."""


class Job:
    """`launches` are (words, environment) of the processes to start: a launcher, or each rank.
    Between commands the ranks are stopped, so that threads which spin take no time from others.
    Who does not answer in time is killed: it may go on for ever, on cores that others need."""

    def __init__(self, name, ranks, make_launches, guard):
        self.name = name
        self.ranks = ranks
        self.version = name
        self.hung = False
        self._guard = guard
        self._pids = []
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-compare-"))
        guard.add("folder", str(self._folder))
        self._commands, self._replies, self._pending = [], [], []
        for rank in range(ranks):
            self._open_pipes(rank)
        self._log = open(self._folder / "log", "w+", encoding="utf-8", errors="replace")
        self._processes = []
        try:
            self._start(make_launches(self._folder))
        except JobFailed:
            self.close()
            raise

    def _open_pipes(self, rank):
        for what, mode, files in (("command", os.O_RDWR, self._commands),
                                  ("reply", os.O_RDONLY | os.O_NONBLOCK, self._replies)):
            path = self._folder / f"{what}.{rank}"
            os.mkfifo(path)
            files.append(os.open(path, mode | os.O_CLOEXEC))
        self._pending.append(b"")

    def _start(self, launches):
        for words, environment in launches:
            try:
                process = subprocess.Popen(
                    words, env=environment, stdin=subprocess.DEVNULL, stdout=self._log,
                    stderr=self._log, process_group=0)
            except OSError as failure:
                raise JobFailed(f"{self.name} cannot be started: {failure}") from None
            self._guard.add("group", str(process.pid))
            self._processes.append(process)
        self._answers(START_TIMEOUT_S, self._ready)
        processes.send(self._pids, signal.SIGSTOP)

    def _ready(self, line):
        """As soon as a rank says so: others may never do."""
        try:
            word, rank, ranks, pid, version = line.split(" ", 4)
            self._pids.append(int(pid))
        except ValueError:
            raise JobFailed(self._why(f"it began with \"{line[:100]}\"")) from None
        self._guard.add("pid", pid)
        self.version = version
        if word != "ready" or ranks != str(self.ranks):
            raise JobFailed(f"{self.name} started as rank {rank} of {ranks}, not of "
                            f"{self.ranks}: its launcher is another library's")

    def ask(self, command):
        """The answers of all ranks in rank order."""
        processes.send(self._pids, signal.SIGCONT)
        for pipe in self._commands:
            os.write(pipe, command.encode() + b"\n")
        try:
            answers = self._answers(ANSWER_TIMEOUT_S)
        except JobFailed as failure:
            self.hung = isinstance(failure, Hung)
            processes.send(self._pids, signal.SIGKILL)
            raise
        processes.send(self._pids, signal.SIGSTOP)
        for answer in answers:
            word, _, rest = answer.partition(" ")
            if word == "unsupported":
                raise Unsupported(rest)
            if word == "error":
                raise JobFailed(f"{self.name}, '{command}': {rest}")
        return answers

    def time_us(self, command):
        """The time of the rank that takes longest."""
        return max(float(answer.split()[1]) for answer in self.ask(command))

    def _answers(self, timeout_s, heard=lambda line: None):
        """One line of each rank, which is told to `heard` as it comes."""
        lines = [None] * self.ranks
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        for pipe in self._replies:
            poll.register(pipe, select.POLLIN)
        while None in lines:
            for pipe, event in poll.poll(200):
                rank = self._replies.index(pipe)
                self._pending[rank] += os.read(pipe, 4096) if event & select.POLLIN else b""
                line, newline, rest = self._pending[rank].partition(b"\n")
                if newline:
                    lines[rank], self._pending[rank] = line.decode(errors="replace"), rest
                    poll.unregister(pipe)
                    heard(lines[rank])
                elif event & select.POLLHUP:
                    raise JobFailed(self._why(f"rank {rank} ended"))
            ended = [process for process in self._processes if process.poll() is not None]
            if ended and None in lines:
                raise JobFailed(self._why(f"it ended with status {ended[0].returncode}"))
            if time.monotonic() > deadline:
                late = ", ".join(str(rank) for rank, line in enumerate(lines) if line is None)
                raise Hung(self._why(f"no answer of rank {late} within {timeout_s} s"))
        return lines

    def _why(self, what):
        self._log.flush()
        self._log.seek(0)
        said = " ".join(self._log.read()[-800:].split())
        return f"{self.name}: {what}" + (f": {said}" if said else "")

    def close(self):
        """Lets the ranks end by themselves; ends what has not soon, or not well."""
        processes.send(self._pids, signal.SIGCONT)
        for pipe in (*self._commands, *self._replies):
            os.close(pipe)
        leaders = [process.pid for process in self._processes]
        processes.wait(leaders, CLOSE_TIMEOUT_S)
        if any(process.poll() != 0 for process in self._processes):
            processes.end(leaders, self._pids)
        for process in self._processes:
            process.wait()
            self._guard.release("group", str(process.pid))
        for pid in self._pids:
            self._guard.release("pid", str(pid))
        self._log.close()
        self._guard.release("folder", str(self._folder))
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()
