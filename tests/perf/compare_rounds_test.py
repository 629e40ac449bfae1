"""scripts/compare: rounds, and the programs that it starts and ends."""

import contextlib
import io
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import launch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "perf/compare/driver"))

import job as job_module  # noqa: E402  (the path comes first)
import leftovers  # noqa: E402
import main  # noqa: E402
import measure  # noqa: E402
import priority  # noqa: E402
import processes  # noqa: E402
import results  # noqa: E402
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

    def test_who_was_held_up_is_measured_for_longer_later(self):
        pace, counts = measure.Pace(10_000), []
        for us in (5000, 2, 2):
            pace.measure("a", lambda count, us=us: counts.append(count) or us)
        self.assertEqual(counts, [measure.MIN_ITERATIONS, measure.MIN_ITERATIONS, 5000])

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

    def fallen(self, now_us):
        """How often Tutti is asked, after 2 rounds of 30 us where 3 was recorded, if it then takes
        `now_us`, and the peer 4 all along."""
        jobs = [FakeJob("Tutti", 3), FakeJob("b", 4)]
        recorded = results.rows(self.run_rounds(jobs).times, {})
        jobs[0].us = 30
        rounds = self.run_rounds(jobs, rounds=2)
        jobs[0].us, jobs[0].asked = now_us, []
        said = io.StringIO()
        with mock.patch.object(main, "RETRY_AFTER_S", 0), contextlib.redirect_stderr(said):
            main.measure_fallen_again(rounds, 2, recorded)
        self.assertIn("# below half of what was recorded, measured again: 1 points\n",
                      said.getvalue())
        return len(jobs[0].asked)

    def test_what_fell_is_measured_again(self):
        self.assertEqual(self.fallen(3), 2)
        self.assertEqual(self.fallen(30), 2 * main.RETRIES)

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

    def make(self, text, ranks=1):
        path = program(self.folder.name, text)
        return Job("Fake", ranks, lambda folder: [([str(path), str(folder)], dict(os.environ))],
                   self.guard)

    def start(self, text):
        job = self.make(text)
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
        self.assertTrue(job.hung)
        # It takes no core from the others.
        self.assertEqual(job._processes[0].wait(launch.TIMEOUT_S), -signal.SIGKILL)

    def test_who_hung_is_not_started_again(self):
        started, hung, problems = [], set(), []
        mpich, gloo = main.wanted(["mpich", "gloo"])

        def start(name, *_):
            started.append(name)
            if name == gloo.name:
                raise job_module.Hung("no answer")
            return mock.Mock(version=name, hung=False)

        at = mock.Mock(transport="shm", ranks=2, build=pathlib.Path("/"))
        args = mock.Mock(peers=["mpich", "gloo"])
        with mock.patch.object(main, "Job", side_effect=start), \
                mock.patch.object(pathlib.Path, "exists", return_value=True):
            for _ in range(2):
                main.start_all(args, at, self.guard, contextlib.ExitStack(), problems, hung)
        self.assertEqual(hung, {gloo})
        self.assertEqual(started, ["Tutti", "limits", mpich.name, gloo.name,
                                   "Tutti", "limits", mpich.name])
        self.assertEqual(problems, ["Gloo is not compared: no answer",
                                    "Gloo is not compared: it hung before"])

    def test_a_program_that_cannot_be_started(self):
        with self.assertRaisesRegex(JobFailed, "Fake cannot be started: .*No such file"):
            Job("Fake", 1, lambda folder: [(["/nowhere/program"], {})], self.guard)

    def test_a_program_of_another_launcher(self):
        with self.assertRaisesRegex(JobFailed, "rank 0 of 1, not of 2: its launcher is another"):
            self.make('for r in 0 1; do (exec 4>$1/reply.$r; echo "ready 0 1 $$ Fake" >&4) & done; '
                      'wait; exec sleep 9\n', ranks=2)

    def test_a_program_that_says_something_else(self):
        with self.assertRaisesRegex(JobFailed, 'Fake: it began with "hello"'):
            self.make('exec 4>$1/reply.0; echo hello >&4; exec sleep 9\n')

    def test_a_rank_is_stopped_between_commands(self):
        job = self.start(self.HELLO + 'read -r line <&3; echo "time 1" >&4; read -r line <&3\n')
        job.ask("a")
        pid = job._pids[0]
        state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True,
                               text=True, check=False).stdout
        self.assertTrue(state.startswith("T"), state)

    def launcher(self, rank, end=""):
        """The text of a launcher, which starts a rank, then a helper in its own group that writes
        its pid, and hangs."""
        return (f"{end}\nsleep 600 & echo $! >{self.folder.name}/helper\n({rank}) &\n"
                "while :; do sleep 0.1; done\n")

    def helper(self):
        return int(pathlib.Path(self.folder.name, "helper").read_text(encoding="ascii"))

    def assert_ended(self, pid):
        processes.wait([pid], launch.TIMEOUT_S)
        self.assertFalse(processes.runs(pid))

    # A rank outside its launcher's group, as Open MPI's are.
    RANK = ("exec setsid sh -c 'exec 3<$0/command.0 4>$0/reply.0; echo \"ready 0 1 $$ Fake\" >&4; "
            "while :; do sleep 0.1; done' $1")

    def test_a_launcher_that_hangs(self):
        for trap, status in (("trap 'exit 7' TERM", 7), ("trap '' TERM", -signal.SIGKILL)):
            job = self.make(self.launcher(self.RANK, trap))
            with mock.patch.object(job_module, "CLOSE_TIMEOUT_S", 0.1), \
                    mock.patch.object(processes, "ENDS_WITHIN_S", 0.5):
                job.close()
            self.assertEqual(job._processes[0].returncode, status)
            self.assert_ended(job._pids[0])
            self.assert_ended(self.helper())

    def test_a_rank_that_is_ready_is_ended_with_those_that_never_are(self):
        with mock.patch.object(job_module, "START_TIMEOUT_S", 5), \
                mock.patch.object(job_module, "CLOSE_TIMEOUT_S", 0.1), \
                mock.patch.object(self.guard, "add", wraps=self.guard.add) as add, \
                self.assertRaisesRegex(JobFailed, "no answer of rank 1 within 5 s"):
            self.make(self.launcher(self.RANK.replace("ready 0 1", "ready 0 2")), ranks=2)
        told = [call.args for call in add.call_args_list]
        self.assertEqual([kind for kind, _ in told], ["folder", "group", "pid"])
        self.assert_ended(int(told[-1][1]))
        self.assert_ended(self.helper())

    def test_the_guard_ends_the_launchers_group(self):
        path = program(self.folder.name, self.launcher(":", f"trap 'echo asked >{self.folder.name}/"
                                                            "asked; exit' TERM"))
        with Guard() as guard:
            started = subprocess.Popen([str(path)], process_group=0)
            guard.add("group", str(started.pid))
            deadline = time.monotonic() + launch.TIMEOUT_S
            while not pathlib.Path(self.folder.name, "helper").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
        self.assertEqual(started.wait(launch.TIMEOUT_S), 0)
        self.assertTrue(pathlib.Path(self.folder.name, "asked").exists())
        self.assert_ended(self.helper())

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

    def test_the_guard_removes_shared_memory_of_peers(self):
        folder = pathlib.Path(self.folder.name)
        names = ("mpich_shm_before", "mpich_shm_left", "vader_segment.left", "mpich_shm_mapped",
                 "sm_segment.open", "others")
        with mock.patch.object(leftovers, "FOLDER", folder):
            (folder / names[0]).touch()
            with Guard():
                for name in names[1:]:
                    (folder / name).write_bytes(b"12345678")
                with open(folder / "mpich_shm_mapped", "rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                opened = open(folder / "sm_segment.open", "rb")
            with mapped, opened:
                left = {path.name for path in folder.iterdir()}
        self.assertEqual(left, {names[0], *names[3:]})

    def test_priority_lasts_as_long_as_the_guard(self):
        file = pathlib.Path(self.folder.name, "autogroup")
        with mock.patch.object(os, "setpriority") as taken, \
                mock.patch.object(priority, "autogroup", lambda _: file):
            # Where another comparison of the session took the highest, it knows what was before.
            for found, left in (("/autogroup-9 nice 5\n", "5"),
                                ("/autogroup-9 nice -20\n", "/autogroup-9 nice -20\n")):
                file.write_text(found, encoding="ascii")
                with Guard() as guard:
                    priority.take(guard)
                    self.assertIn(str(priority.HIGHEST), file.read_text(encoding="ascii"))
                self.assertEqual(file.read_text(encoding="ascii"), left)
        taken.assert_called_with(os.PRIO_PROCESS, 0, priority.HIGHEST)
        with mock.patch.object(os, "setpriority", side_effect=PermissionError):
            priority.take(self.guard)


if __name__ == "__main__":
    unittest.main()
