"""scripts/compare: rounds, the programs that it starts, and whole runs with those of Tutti and of
the limits, which every build has."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import launch

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/compare"
BUILD = pathlib.Path(os.environ["COMPARE_TUTTI"]).parents[2]
sys.path.insert(0, str(ROOT / "perf/compare/driver"))

import job as job_module  # noqa: E402  (the path comes first)
import measure  # noqa: E402
import networks  # noqa: E402
import peers  # noqa: E402
import picture  # noqa: E402
from guard import Guard  # noqa: E402
from job import Job, JobFailed, Unsupported  # noqa: E402
from points import Point  # noqa: E402


def point(collective, size=1200):
    return Point("shm", 4, collective, "out_of_place", size)


class FakeJob:
    """Answers at once with what it takes; `times` may be an exception."""

    def __init__(self, name, us):
        self.name = self.version = name
        self.us, self.asked = us, []

    def ask(self, command):
        self.asked.append(command)
        if isinstance(self.us, Exception):
            raise self.us
        return ["right"]

    def time_us(self, command):
        self.ask(command)
        return self.us


class Rounds(unittest.TestCase):
    def run_rounds(self, jobs, rounds=4, found=(point("gather"),)):
        contenders = [measure.Contender(job, "private") for job in jobs]
        one = measure.Rounds(contenders, measure.LimitJobs(FakeJob("limits", 1)), 2, 1)
        one.run(list(found), rounds, lambda *_: None)
        return one

    def test_iterations_suit_the_time(self):
        pace = measure.Pace(10_000)
        for us, wanted in ((lambda count: 2, 5000), (lambda count: 1e9, measure.MIN_ITERATIONS),
                           (lambda count: 0, measure.MAX_ITERATIONS),
                           # The first iterations are slow.
                           (lambda count: 100 if count < 5 else 1, 10_000)):
            counts = []
            for _ in range(2):
                pace.measure(us, lambda count, us=us: counts.append(count) or us(count))
            self.assertEqual(counts[-2:], [wanted] * 2)

    def test_what_takes_long_is_not_measured_again(self):
        counts = []
        self.assertEqual(measure.Pace(10).measure("a", lambda count: counts.append(count) or 9), 9)
        self.assertEqual(counts, [measure.MIN_ITERATIONS])

    def test_results_are_checked_once(self):
        job = FakeJob("Tutti", 3)
        self.run_rounds([job])
        self.assertEqual([one.split()[0] for one in job.asked].count("check"), 1)
        self.assertEqual(job.asked[0], "check gather 1200 1 0 out_of_place private 1")

    def test_the_order_turns(self):
        seen = []
        jobs = [FakeJob(name, 3) for name in ("Tutti", "b")]
        for job in jobs:
            job.time_us = lambda command, job=job: seen.append(job.name) or 3
        self.run_rounds(jobs, rounds=2)
        self.assertEqual((seen[0], seen[-1]), ("Tutti", "Tutti"))
        self.assertEqual(seen[-2], "b")

    def test_who_is_far_behind_is_measured_once_or_twice(self):
        rounds = self.run_rounds([FakeJob("Tutti", 3), FakeJob("slow", 31), FakeJob("b", 29),
                                  FakeJob("slower", 151)])
        times = rounds.times[point("gather")]
        self.assertEqual(times["slow"], [31, 31, None, None])
        self.assertEqual(times["slower"], [151, None, None, None])
        self.assertEqual(times["b"], [29] * 4)

    def test_what_fails_is_left_out_and_said(self):
        rounds = self.run_rounds([FakeJob("Tutti", 3), FakeJob("b", JobFailed("b broke")),
                                  FakeJob("c", Unsupported("no gather"))])
        self.assertEqual(rounds.times[point("gather")]["b"], [None] * 4)
        self.assertEqual(rounds.problems, ["gather of 1200 bytes, out_of_place: b broke; it is "
                                           "left out from here on"])

    def test_a_barrier_has_no_memory_and_nothing_to_check(self):
        job = FakeJob("Tutti", 3)
        one = measure.Rounds([measure.Contender(job, "allocated")],
                             measure.LimitJobs(FakeJob("limits", 1)), 2, 1)
        one.run([point("barrier", size=0)], 1, lambda *_: None)
        self.assertEqual(job.asked, [])


def program(folder, text):
    """A program that speaks like one of ours: its folder is $1."""
    path = pathlib.Path(folder, "program")
    path.write_text("#!/bin/sh\n" + text, encoding="ascii")
    path.chmod(0o755)
    return path


class Jobs(unittest.TestCase):
    HELLO = 'exec 3<$1/command.0 4>$1/reply.0\necho "ready 0 1 $$ Fake 1.0" >&4\n'

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.guard = Guard()
        self.addCleanup(self.guard.close)

    def start(self, text):
        path = program(self.folder.name, text)
        job = Job("Fake", 1, lambda folder: [([str(path), str(folder)], dict(os.environ))],
                  self.guard)
        self.addCleanup(job.close)
        return job

    def test_answers(self):
        job = self.start(self.HELLO + 'while read -r line <&3; do case $line in\n'
                         'a) echo "time 2.5" >&4 ;; b) echo "unsupported no b" >&4 ;;\n'
                         '*) echo "error no $line" >&4 ;; esac; done\n')
        self.assertEqual(job.version, "Fake 1.0")
        self.assertEqual(job.time_us("a"), 2.5)
        with self.assertRaisesRegex(Unsupported, "^no b$"):
            job.ask("b")
        with self.assertRaisesRegex(JobFailed, "^Fake, 'c': no c$"):
            job.ask("c")

    def test_a_program_that_ends(self):
        with self.assertRaisesRegex(JobFailed, "Fake: .* status 7: no such luck"):
            self.start("echo no such luck >&2\nexit 7\n")
        job = self.start(self.HELLO + "read -r line <&3\necho bad luck\n")
        with self.assertRaisesRegex(JobFailed, "Fake: .*: bad luck"):
            job.ask("a")

    def test_a_program_that_hangs(self):
        job = self.start(self.HELLO + "read -r line <&3\nwhile :; do :; done\n")
        with mock.patch.object(job_module, "ANSWER_TIMEOUT_S", 0.5):
            with self.assertRaisesRegex(JobFailed, "^Fake: no answer of rank 0 within 0.5 s$"):
                job.ask("a")
        # It takes no core from the others.
        self.assertEqual(job._processes[0].wait(launch.TIMEOUT_S), -signal.SIGKILL)

    def test_a_program_that_cannot_be_started(self):
        with self.assertRaisesRegex(JobFailed, "Fake cannot be started: .*No such file"):
            Job("Fake", 1, lambda folder: [(["/nowhere/program"], {})], self.guard)

    def test_a_program_of_another_launcher(self):
        with self.assertRaisesRegex(JobFailed, "rank 0 of 1, not of 2: its launcher is another"):
            path = program(self.folder.name, 'for r in 0 1; do (exec 4>$1/reply.$r; echo "ready 0 '
                           '1 $$ Fake" >&4) & done; wait; exec sleep 9\n')
            Job("Fake", 2, lambda folder: [([str(path), str(folder)], dict(os.environ))],
                self.guard)

    def test_a_rank_is_stopped_between_commands(self):
        job = self.start(self.HELLO + 'read -r line <&3; echo "time 1" >&4; read -r line <&3\n')
        job.ask("a")
        pid = job._pids[0]
        state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True,
                               text=True, check=False).stdout
        self.assertTrue(state.startswith("T"), state)

    def test_the_guard_ends_what_is_left(self):
        with tempfile.TemporaryDirectory() as parent:
            left = pathlib.Path(parent, "left")
            left.mkdir()
            sleeper = subprocess.Popen(["sleep", "600"])
            sleeper.send_signal(signal.SIGSTOP)
            with Guard() as guard:
                guard.add("pid", str(sleeper.pid))
                guard.add("folder", str(left))
            self.assertEqual(sleeper.wait(launch.TIMEOUT_S), -signal.SIGKILL)
            self.assertFalse(left.exists())


class Launches(unittest.TestCase):
    def place(self, ranks=2, transport="shm", network=None):
        return peers.Placement(ranks, transport, (0, 1), 1 << 20, pathlib.Path("/b"),
                               pathlib.Path("/b/peers"), network or networks.Host())

    def words(self, name, at):
        peer = next(peer for peer in (peers.TUTTI, *peers.PEERS) if peer.name == name)
        launches = peer.launches(at, pathlib.Path("/b/p"), pathlib.Path("/f"))
        return [" ".join(words) for words, _ in launches], launches[0][1]

    def test_tutti(self):
        words, settings = self.words("Tutti", self.place())
        self.assertEqual(words, ["taskset -c 0 /b/p /f 1048576 0 2",
                                 "taskset -c 1 /b/p /f 1048576 1 2"])
        self.assertEqual((settings["TUTTI_RANK"], settings["TUTTI_TRANSPORT"]), ("0", "shm"))
        words, _ = self.words("Tutti", self.place(ranks=3))
        self.assertEqual(words[0], "/b/p /f 1048576 0 3")

    def test_open_mpi(self):
        words, _ = self.words("Open MPI", self.place())
        self.assertEqual(words, ["mpirun.openmpi -n 2 --mca pml ob1 --mca btl vader,self --bind-to "
                                 "core --map-by core /b/p /f 1048576"])
        words, _ = self.words("Open MPI, newest", self.place(4, "tcp"))
        self.assertIn("/b/peers/openmpi/bin/mpirun -n 4 ", words[0])
        self.assertIn("--mca btl tcp,self --mca mpi_yield_when_idle 1 --bind-to none", words[0])

    def test_mpich(self):
        words, settings = self.words("MPICH", self.place(2, "tcp"))
        self.assertEqual(words, ["mpiexec.mpich -n 2 -bind-to core /b/p /f 1048576"])
        self.assertEqual(settings["MPIR_CVAR_NOLOCAL"], "1")
        self.assertNotIn("MPIR_CVAR_POSIX_NUM_COLLS_THRESHOLD", settings)
        self.assertIn("MPIR_CVAR_POSIX_NUM_COLLS_THRESHOLD", self.words("MPICH", self.place(4))[1])

    def test_others(self):
        self.assertEqual(self.words("Gloo", self.place())[0],
                         ["/b/p /f 1048576 0 2", "/b/p /f 1048576 1 2"])
        words, settings = self.words("oneCCL", self.place(2, "tcp"))
        self.assertEqual(words, ["/b/peers/oneccl/bin/mpiexec -n 1 /b/p /f 1048576 0 2 : -n 1 /b/p "
                                 "/f 1048576 1 2"])
        self.assertEqual((settings["I_MPI_FABRICS"], settings["FI_PROVIDER"]), ("ofi", "tcp"))
        self.assertIn("I_MPI_WAIT_MODE=1", peers.intel_tuning(self.place(4)))

    def test_nccl_needs_gpus(self):
        self.assertIn("it needs a GPU for each of 1000 ranks, and this machine has",
                      peers.too_few_gpus(self.place(ranks=1000)))


class Runs(unittest.TestCase):
    def run_script(self, *arguments, **environment):
        return launch.run([sys.executable, "-B", str(SCRIPT), "--build", str(BUILD), "--peers",
                           "none", *arguments], **environment)

    def quick(self, *arguments):
        return self.run_script("--quick", "-r", "2", "-t", "1", "-e", "4K", *arguments)

    def test_report_picture_and_check(self):
        with tempfile.TemporaryDirectory() as folder:
            report, svg = pathlib.Path(folder, "r.json"), pathlib.Path(folder, "p.svg")
            done = self.quick("-n", "2,3", "-c", "all_reduce,hypercube,alltoallv,barrier", "--json",
                              str(report))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^8 B  +\d+\.\d\d  ")
            found = json.loads(report.read_text(encoding="utf-8"))
            self.assertEqual(found["problems"], [])
            self.assertEqual({(one["collective"], one["ranks"], one["size"])
                              for one in found["rows"]}, {
                ("all_reduce", 2, 8), ("all_reduce", 2, 4096), ("all_reduce", 3, 8),
                ("all_reduce", 3, 4096), ("hypercube", 2, 8), ("hypercube", 2, 4096),
                ("alltoallv", 2, 8), ("alltoallv", 2, 4096), ("alltoallv", 3, 12),
                ("alltoallv", 3, 4092), ("barrier", 2, 0), ("barrier", 3, 0)})
            for one in found["rows"]:
                for name, ratios in one["ratios"].items():
                    self.assertGreater(ratios["to_limit"]["median"], 0, name)
            again = self.run_script("--show", str(report), "--check", str(report), "--markdown")
            self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
            self.assertIn("none below half of what was recorded", again.stdout)
            if not any(map(picture.has_matplotlib, (sys.executable, picture.DEBIANS))):
                self.skipTest("there is no matplotlib")
            done = self.run_script("--show", str(report), "--svg", str(svg))
            self.assertEqual(done.returncode, 0, done.stderr)
            drawn = svg.read_text(encoding="utf-8")
            self.assertIn("all_reduce, 3 ranks, shm, out of place", drawn)
            self.assertIn(">limit<", drawn)

    def test_tcp(self):
        done = self.quick("-c", "all_reduce,gather", "--transport", "tcp")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 ranks, tcp, loopback device:\n", done.stdout)

    @unittest.skipUnless(os.geteuid() == 0 and not networks.missing_tools(rate="1gbit"),
                         "needs root, and tools to make and measure network namespaces")
    def test_namespaces_are_removed(self):
        before = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        done = self.quick("-c", "all_reduce", "--transport", "tcp", "--netns")
        if "Operation not permitted" in done.stderr:
            self.skipTest("this container makes no network namespaces")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 network namespaces joined by veth and a bridge", done.stdout)
        after = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(after, before)

    def test_peers_that_are_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            programs = pathlib.Path(folder, "perf/compare")
            programs.mkdir(parents=True)
            for name in ("compare_tutti", "compare_limits"):
                (programs / name).symlink_to(BUILD / "perf/compare" / name)
            done = self.run_script("--quick", "-c", "barrier", "-t", "1", "--build", folder,
                                   "--peers", "gloo")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Problem: Gloo is not compared: compare_gloo is not built; apt-get "
                          "install libgloo-dev, then scripts/compare --prepare", done.stdout)

    def test_programs_that_are_not_built(self):
        done = self.run_script("--build", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Tutti is not compared: compare_tutti is not built; build the preset",
                      done.stderr)

    def test_wrong_arguments(self):
        for arguments, message in (
                (["-c", "all"], "'all' is no collective; choose from all_reduce,"),
                (["-p", "both"], "'both' is no placement; choose from out_of_place,in_place"),
                (["-n", "2,x"], "'2,x' is no list of ranks, such as 2,4"),
                (["-n", "1"], "'1' is no list of ranks"),
                (["-b", "1Z"], "'1Z' is no size, such as 8, 4K or 64M"),
                (["-b", "64", "-e", "8"], "--smallest 64 is more than --largest 8; give both"),
                (["-f", "1"], "--factor at least 2"),
                (["--netns"], "--netns is for --transport tcp"),
                (["--transport", "tcp", "--rate", "1gbit"], "--rate is for --netns")):
            done = self.run_script(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)

    def test_no_report(self):
        done = self.run_script("--check", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere is no report of --json: ", done.stderr)

    def test_no_matplotlib(self):
        self.assertEqual(picture.write("r.json", "p.svg", pythons=("/nowhere/python",)),
                         "p.svg is not drawn: there is no matplotlib; apt-get install "
                         "python3-matplotlib")

    def test_interrupted_nothing_stays(self):
        process = subprocess.Popen(
            [sys.executable, "-B", str(SCRIPT), "--build", str(BUILD), "--peers", "none",
             "--quick", "-c", "barrier", "-r", "100000", "-t", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=launch.clean_environment(), start_new_session=True)
        self.assertIn("round 1 of", process.stderr.readline())
        self.assertIn("round 2 of", process.stderr.readline())
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)],
                                  capture_output=True, text=True, check=True).stdout.split()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=launch.TIMEOUT_S)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("interrupted: all programs are ended", err)
        self.assertIn("Problem: interrupted before all rounds were measured", out)
        left = [pid for pid in children if pathlib.Path("/proc", pid).exists()]
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
