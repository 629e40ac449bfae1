"""A session: a list of named cases that run inside the guests of one boot.

Every guest runs the same script. With two nodes the guests begin each case together and tell each
other how it ended; the line with the verdict comes from node 0, the output of a failed case from
each node that has some. A case is a function that takes a Session and raises Failed.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import sys
import time
import traceback

import ranks

# Ranks and waits that a case leaves behind end with it.
CASE_S = 120
MEET_S = 240  # the other guest may be much slower
MEETING_PORT = 7000
FIRST_RENDEZVOUS_PORT = 20000


class Failed(Exception):
    """What a case expected and did not get."""


class Meeting:
    """The wire between the two guests' scripts, over the network that cases do not break. With one
    guest everything is agreed at once."""

    def __init__(self, node, nodes):
        self._stream = None
        self._verdict = None  # the other's, when it came before ours
        if nodes > 1:
            wire = self._listen() if node == 0 else self._connect()
            wire.settimeout(MEET_S)
            # Only for reading: one made for both drops what it has read ahead when it writes.
            self._stream = wire.makefile("r", encoding="utf-8")
            self._wire = wire

    @staticmethod
    def _listen():
        with socket.create_server(("", MEETING_PORT)) as server:
            server.settimeout(MEET_S)
            return server.accept()[0]

    @staticmethod
    def _connect():
        end = time.monotonic() + MEET_S
        while True:
            try:
                return socket.create_connection((os.environ["MASTER_ADDR"], MEETING_PORT), MEET_S)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _send(self, kind, value=""):
        self._wire.sendall((json.dumps([kind, value]) + "\n").encode())

    def _receive(self):
        line = self._stream.readline()
        if not line:
            raise ConnectionError("the other guest has ended")
        return json.loads(line)

    def sync(self):
        """Neither goes on before both are here; fails when the other has ended the case."""
        if self._stream is None:
            return
        self._send("sync")
        kind, value = self._receive()
        if kind == "verdict":
            self._verdict = value
            raise Failed("the other node ended this case before the two were to meet")

    def verdict(self, mine):
        """Ends a case: gives the other guest this one's verdict and returns its."""
        if self._stream is None:
            return mine
        self._send("verdict", mine)
        while self._verdict is None:
            kind, value = self._receive()
            if kind == "verdict":
                self._verdict = value
        theirs, self._verdict = self._verdict, None
        return theirs


class Session:
    """What cases use: this node's place, the build's programs, jobs over all nodes."""

    def __init__(self, build):
        self.node = int(os.environ["NODE_RANK"])
        self.nodes = int(os.environ["NNODES"])
        self.rails = int(os.environ["NODE_RAILS"])
        self.build = pathlib.Path(build)
        self.meeting = Meeting(self.node, self.nodes)
        self.output = []
        self._jobs = []
        self._undo = []
        self._port = FIRST_RENDEZVOUS_PORT

    def program(self, path):
        return str(self.build / path)

    def probe(self, *arguments):
        return [self.program("tests/softroce/softroce_probe"), *map(str, arguments)]

    def start(self, command, per_node=1, wrapper=(), **environment):
        """Starts this node's ranks of a job over all nodes. All nodes must make the same calls."""
        self._port += 1
        job = ranks.Job(command=[*wrapper, *command], node=self.node, nodes=self.nodes,
                        per_node=per_node,
                        rendezvous=f"{os.environ['MASTER_ADDR']}:{self._port}",
                        environment=environment)
        self._jobs.append(job)
        return job

    def run(self, command, per_node=1, limit_s=CASE_S, wrapper=(), **environment):
        """The same, to the end; fails unless every rank succeeds. Returns what the ranks of this
        node said, as one text."""
        job = self.start(command, per_node, wrapper, **environment)
        job.wait(limit_s)
        self.check(all(rank.code == 0 for rank in job.ranks),
                   f"a rank failed: {[rank.code for rank in job.ranks]}")
        return job.text()

    def fail_run(self, command, per_node=1, limit_s=CASE_S, wrapper=(), **environment):
        """The same for a job that has to fail on this node."""
        job = self.start(command, per_node, wrapper, **environment)
        job.wait(limit_s)
        self.check(any(rank.code != 0 for rank in job.ranks), "every rank succeeded")
        return job.text()

    def command(self, words, limit_s=CASE_S, **environment):
        """Runs one program on this node, no part of a job; fails unless it succeeds. Returns what
        it said."""
        self.output.append(f"$ {' '.join(words)}")
        process = ranks.Process(words[0], words, {**os.environ, **environment})
        in_time = process.wait(time.monotonic() + limit_s)
        process.end()
        text = "\n".join(process.lines)
        self.output.append(text)
        self.check(in_time, f"'{words[0]}' still ran after {limit_s} s")
        self.check(process.code == 0, f"'{words[0]}' ended with status {process.code}")
        return text

    def shell(self, line, undo=None):
        """Changes something about this guest; `undo` runs when the case has ended."""
        if undo:
            self._undo.append(undo)
        return self.command(["bash", "-c", line])

    def check(self, holds, otherwise):
        if not holds:
            raise Failed(otherwise)

    def expect(self, text, *patterns):
        """Each of the patterns must be found in the text."""
        for pattern in patterns:
            self.check(re.search(pattern, text), f"no match for: {pattern}")

    def sync(self):
        """Both nodes go on together."""
        self.meeting.sync()

    def clean_up(self):
        for job in self._jobs:
            job.end()
            self.output.append(job.text())
        for command in reversed(self._undo):
            self.shell(command)
        self._jobs, self._undo = [], []


def one_case(session, name, case):
    """Runs it on this node; True when it held on every node."""
    session.output = []
    session.sync()
    began = time.monotonic()
    failure = ""
    try:
        case(session)
    except (Failed, ranks.TimedOut) as wrong:
        failure = str(wrong)
    except Exception:  # pylint: disable=broad-except
        failure = traceback.format_exc()
    session.clean_up()
    others = session.meeting.verdict(failure)
    if session.node == 0:
        verdict = "FAILED" if failure or others else "ok"
        print(f"{verdict:6} {time.monotonic() - began:6.1f} s  {name}", flush=True)
    if failure or others:
        lines = [failure or "failed on the other node", *"\n".join(session.output).splitlines()]
        print("".join(f"  | {line}\n" for line in lines), end="", flush=True)
    return not failure and not others


def main(description, cases):
    """`cases` is a list of functions; a case is called by its function's name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--only", default="", help="regular expression that names must contain")
    args = parser.parse_args()
    session = Session(args.build)
    names = {case.__name__: case for case in cases if re.search(args.only, case.__name__)}
    failed = [name for name, case in names.items() if not one_case(session, name, case)]
    if session.node == 0:
        print(f"{len(names) - len(failed)} of {len(names)} cases passed", flush=True)
    sys.exit(1 if failed or not names else 0)

