"""From the command line to the report."""

import contextlib
import datetime
import itertools
import json
import os
import pathlib
import platform
import sys
import tempfile
import time

import check
import command_line
import iperf
import networks
import picture
import points
import prepare
import priority
import results
import table
from guard import Guard
from job import Hung, Job, JobFailed
from measure import Contender, LimitJobs, Rounds
from peers import LIMITS, PEERS, SOCKETS, TUTTI, Placement


# Points that seem to have fallen are measured again so often, so long after each other: something
# else may have had the cores.
RETRIES = 5
RETRY_AFTER_S = 1


class Progress:
    """A line on a terminal, which is written over; else a line for each round."""

    def __init__(self, title, rounds, count):
        self._title, self._rounds, self._count = title, rounds, count
        self._terminal = sys.stderr.isatty()

    def __call__(self, number, place, point):
        share = 100 * (number * self._count + place) // (self._rounds * self._count)
        text = f"# {self._title}, round {number + 1} of {self._rounds}"
        if self._terminal:
            print(f"\r\033[K{text}: {share} %, {point.collective} {points.size_text(point.size)}",
                  end="", file=sys.stderr, flush=True)
        elif place == 0:
            print(f"{text}: {self._count} points", file=sys.stderr)

    def end(self):
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine():
    return {"cpu": cpu_name(), "cpus": len(os.sched_getaffinity(0)),
            "system": f"{platform.system()} {platform.release()}"}


def start(peer, at, ranks, guard, problems, hung):
    """The running program of a peer, or nothing and a sentence on why. One that did not answer in
    time is added to `hung`."""
    why = peer.why_not(at)
    if why:
        problems.append(f"{peer.name} is not compared: {why}")
        return None
    program = at.build / "perf/compare" / peer.program
    if not program.exists():
        problems.append(f"{peer.name} is not compared: {program.name} is not built; {peer.install}")
        return None
    try:
        return Job(peer.name, ranks, lambda folder: peer.launches(at, program, folder), guard)
    except JobFailed as failure:
        problems.append(f"{peer.name} is not compared: {failure}")
        if isinstance(failure, Hung):
            hung.add(peer)
        return None


def wanted(names):
    """The peers of these names; where none has a name, those that contain it."""
    if names is None:
        return PEERS
    found = set()
    for name in map(str.lower, names):
        found |= ({peer for peer in PEERS if peer.name.lower() == name} or
                  {peer for peer in PEERS if name in peer.name.lower()})
    return [peer for peer in PEERS if peer in found]


def network_of(args, ranks, guard):
    if not args.netns:
        return networks.Host()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-compare-"))
    guard.add("folder", str(folder))
    return networks.Namespaces(ranks, args.rate, guard, folder)


def start_all(args, at, guard, running, problems, hung):
    """peer -> running job. Those of Tutti and of the limits must be there; another one that hung
    before is not started again, since each wait takes a minute."""
    needed = (TUTTI, LIMITS, *([SOCKETS] if at.transport == "tcp" else []))
    jobs = {}
    for peer in (*needed, *wanted(args.peers)):
        if peer in hung and peer not in needed:
            problems.append(f"{peer.name} is not compared: it hung before")
            continue
        ranks = {LIMITS: 1, SOCKETS: 2}.get(peer, at.ranks)
        job = start(peer, at, ranks, guard, problems, hung)
        if job:
            running.callback(job.close)
            if job.version in [other.version for other in jobs.values()]:
                job.version += f" ({peer.name})"
            jobs[peer] = job
        elif peer in needed:
            raise JobFailed(problems[-1])
    return jobs


def settings(at, jobs, limits):
    """How the programs of one number of ranks were run."""
    return {"ranks": at.ranks, "transport": at.transport, "network": at.network.text(),
            "iperf3_mbit_s": [bandwidth * 8 for bandwidth in limits.bandwidths],
            "programs": {job.version: peer.tuning(at) for peer, job in jobs.items()}}


def measure_fallen_again(rounds, count, recorded):
    """Until none seems to have fallen, or it is certain."""
    for _ in range(RETRIES):
        fallen = check.fallen(results.rows(rounds.times, rounds.limit_times), recorded)
        if not fallen:
            return
        print(f"# below half of what was recorded, measured again: {len(fallen)} points",
              file=sys.stderr)
        time.sleep(RETRY_AFTER_S)
        rounds.run(fallen, count, lambda *_: None)


def measure(args, transport, ranks, guard, document, recorded, hung):
    """Measures all points of one transport and number of ranks, and adds them to the document."""
    wanted_points = points.points(args.collectives, ranks, transport, args.placements,
                                  (args.smallest, args.largest, args.factor))
    if not wanted_points:
        document["problems"].append(f"nothing to measure on {ranks} ranks: a hypercube has 2, 4, "
                                    "8, ... ranks, and some collectives have no form in place")
        return
    network = network_of(args, ranks, guard)
    at = Placement(ranks, transport, tuple(sorted(os.sched_getaffinity(0))), args.largest,
                   args.build, args.build / "peers", network)
    with contextlib.ExitStack() as running:
        jobs = start_all(args, at, guard, running, document["problems"], hung)
        limits = LimitJobs(jobs.pop(LIMITS), jobs.pop(SOCKETS, None),
                           (lambda: iperf.bytes_per_us(network)) if args.rate else None)
        contenders = [Contender(jobs[TUTTI], "private")]
        if transport == "shm":
            contenders.append(Contender(jobs[TUTTI], "allocated"))
        contenders += [Contender(job, "private") for peer, job in jobs.items() if peer is not TUTTI]
        rounds = Rounds(contenders, limits, len(at.cpus), args.target_ms)
        progress = Progress(f"{ranks} ranks, {transport}", args.rounds, len(wanted_points))
        try:
            rounds.run(wanted_points, args.rounds, progress)
            progress.end()
            measure_fallen_again(rounds, args.rounds, recorded or [])
        finally:
            # Who interrupts a long run still gets what it has measured.
            progress.end()
            hung |= {peer for peer, job in jobs.items() if job.hung}
            document["rows"] += results.rows(rounds.times, rounds.limit_times)
            document["problems"] += rounds.problems
            document["settings"].append(settings(at, jobs, limits))


def draw(document, file):
    """A sentence on what is wrong, or None."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        report.write_text(json.dumps(document), encoding="utf-8")
        return picture.write(report, file)


def publish(args, document, recorded):
    """Writes and prints all that was asked for; the exit code."""
    if args.json:
        args.json.write_text(results.as_json(document), encoding="utf-8")
    print(table.report(document, args.markdown))
    print(table.footnotes(document))
    code = 0
    if args.svg:
        problem = draw(document, args.svg)
        if problem:
            print(problem, file=sys.stderr)
            code = 1
    if recorded is not None:
        text, well = check.verdict(document["rows"], recorded)
        print(text)
        code = code if well else 1
    return code


def read_report(file):
    """SystemExit where there is none, before anything is measured."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        document["rows"]  # what makes it a report
        return document
    except (OSError, ValueError, KeyError, TypeError) as failure:
        sys.exit(f"{file} is no report of --json: {failure}")


def main(arguments, description):
    args = command_line.parse(arguments, description)
    args.build = args.build.resolve()
    if args.prepare:
        return prepare.prepare(command_line.ROOT, args.build, args.build / "peers")
    recorded = read_report(args.check)["rows"] if args.check else None
    if args.show:
        return publish(args, read_report(args.show), recorded)
    document = {"date": datetime.date.today().isoformat(), "machine": machine(),
                "rounds": args.rounds, "target_ms": args.target_ms, "settings": [], "problems": [],
                "rows": [], "load": [os.getloadavg()[0]]}
    try:
        with Guard() as guard:
            priority.take(guard)
            hung = set()  # peers
            for transport, ranks in itertools.product(args.transport, args.ranks):
                measure(args, transport, ranks, guard, document, recorded, hung)
    except (JobFailed, networks.NetworkFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: all programs are ended", file=sys.stderr)
        if document["rows"]:
            document["problems"].append("interrupted before all rounds were measured")
            document["load"].append(os.getloadavg()[0])
            publish(args, document, None)
        return 130
    document["load"].append(os.getloadavg()[0])
    return publish(args, document, recorded)
