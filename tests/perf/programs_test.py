"""The built performance tests, alone and under launchers: their tables, reports and exit codes."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import launch

ALL_REDUCE = os.environ["ALL_REDUCE_PERF"]
BROADCAST = os.environ["BROADCAST_PERF"]
OVERLAP = os.environ["OVERLAP_PERF"]
RDMA = os.environ["RDMA_PERF"]
NUMBER = r" +[0-9.e+]+"
ROW = re.compile(
    rf"^ {{0,11}}\d+ {{2,}}\d+ {{2,}}[a-z0-9]+ +"
    rf"(sum|prod|min|max|avg|mulsum|band|bor|bxor|none) +-?\d+"
    rf"({NUMBER}{NUMBER}{NUMBER} +(\d+|N/A)){{2}}$")


def rows(output):
    return [line.split() for line in output.splitlines() if not line.startswith("#")]


class EveryCollective(unittest.TestCase):
    """Each program on 1, 2, 3 and 4 ranks, every element checked."""

    def test_results(self):
        folder = pathlib.Path(ALL_REDUCE).parent
        programs = sorted(path.name for path in folder.glob("*_perf")
                          if not path.name.startswith(("mpi_", "overlap_", "rdma_")))
        self.assertEqual(len(programs), 12, programs)
        for program in programs:
            for ranks in (1, 2, 3, 4):
                if program == "hypercube_perf" and ranks == 3:
                    continue
                with self.subTest(f"{program} {ranks}"):
                    done = launch.run([str(folder / program), "-t", str(ranks), "-b", "8", "-e",
                                       "256K", "-f", "32", "-n", "2", "-c", "2", "-u", "1",
                                       "-I", "0"])
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    body = rows(done.stdout)
                    self.assertEqual(len(body), 1 if program == "barrier_perf" else 4, done.stdout)
                    self.assertEqual({row[8] + row[12] for row in body}, {"00"}, done.stdout)
                    self.assertIn("# Out of bounds values : 0 OK", done.stdout)

    def test_the_latency_of_a_barrier(self):
        program = str(pathlib.Path(ALL_REDUCE).parent / "barrier_perf")
        done = launch.run([program, "-t", "2", "-n", "100"])
        self.assertEqual(done.returncode, 0, done.stderr)
        line = re.search(r"^# Latency \(us\) +: min (\S+), median (\S+), p99 (\S+), max (\S+)$",
                         done.stdout, re.MULTILINE)
        self.assertIsNotNone(line, done.stdout)
        times = [float(text) for text in line.groups()]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 0)
        row = rows(done.stdout)[0]
        self.assertEqual(min(float(row[9]), float(row[18])), times[0], done.stdout)
        self.assertNotIn("Latency", launch.run([program, "-t", "2", "-I", "0"]).stdout)

    def test_a_hypercube_of_three_ranks_is_an_error(self):
        program = pathlib.Path(ALL_REDUCE).parent / "hypercube_perf"
        done = launch.run([str(program), "-t", "3", "-b", "8", "-e", "8"])
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("a hypercube has 2, 4, 8, ... ranks, and these are 3; start another number",
                      done.stderr)


class Launched(unittest.TestCase):
    def check(self, done, expected_rows):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        body = [line for line in done.stdout.splitlines() if not line.startswith("#")]
        self.assertEqual(len(body), expected_rows, done.stdout)
        for line in body:
            self.assertRegex(line, ROW)
            self.assertEqual((line.split()[8], line.split()[12]), ("0", "0"), line)
        self.assertIn("# Out of bounds values : 0 OK", done.stdout)
        self.assertRegex(done.stdout, r"# Avg bus bandwidth    : [0-9.e+-]+ ")

    def test_all_reduce(self):
        for launcher in launch.launchers():
            with self.subTest(launcher):
                done = launch.run(launch.command(launcher, 4, ALL_REDUCE, "-b", "8", "-e", "1M",
                                                 "-f", "8", "-n", "5"))
                self.check(done, 6)
                self.assertEqual(len(re.findall(r"#  Rank +\d Group  0 Pid", done.stdout)), 4)

    def test_broadcast_from_every_root(self):
        for launcher in launch.launchers():
            with self.subTest(launcher):
                done = launch.run(launch.command(launcher, 3, BROADCAST, "-b", "0", "-e", "64K",
                                                 "-f", "16", "-n", "3", "-r", "all"))
                self.check(done, 15)
                self.assertEqual({row[4] for row in rows(done.stdout)}, {"0", "1", "2"})

    def test_every_type_and_operator(self):
        done = launch.run(launch.command("tutti", 3, ALL_REDUCE, "-b", "1000", "-e", "1000", "-n",
                                         "1", "-d", "all", "-o", "all"))
        self.check(done, 14 * 6 + 8 * 3)

    def test_memory_of_every_kind(self):
        for kind in ("private", "registered", "allocated"):
            with self.subTest(kind):
                done = launch.run(launch.command("tutti", 3, ALL_REDUCE, "-b", "64K", "-e", "1M",
                                                 "-f", "16", "-n", "2", "--memory", kind))
                self.check(done, 2)
                self.assertEqual(done.stdout.count(f"# Memory: {kind}"), int(kind != "private"))

    def test_bad_input_ends_every_rank(self):
        for launcher in launch.launchers():
            with self.subTest(launcher):
                done = launch.run(launch.command(launcher, 2, ALL_REDUCE, "--bogus"))
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("not expected: --bogus\nTry all_reduce_perf --help.", done.stderr)

    def test_help_comes_once(self):
        done = launch.run(launch.command("tutti", 3, ALL_REDUCE, "--help"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("--minbytes"), 1)

    def test_root_out_of_range(self):
        done = launch.run(launch.command("tutti", 2, BROADCAST, "-b", "8", "-e", "8", "-r", "2"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--root 2 is not one of the 2 ranks; give 0 to 1", done.stderr)


class Failures(unittest.TestCase):
    """Ranks that are started one by one, so that each one's exit code is seen."""

    def start(self, ranks, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{free.getsockname()[1]}"
        processes = []
        for rank in range(ranks):
            environment = launch.clean_environment(TUTTI_RANK=str(rank), TUTTI_SIZE=str(ranks),
                                                   TUTTI_RENDEZVOUS=where)
            processes.append(subprocess.Popen(
                [ALL_REDUCE, "-b", "8", "-e", "8", *arguments], text=True, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            self.addCleanup(self.end, processes[-1])
        # The first row says that all of them are at work.
        while (line := processes[0].stdout.readline()).startswith("#"):
            pass
        self.assertTrue(line, "rank 0 ended before its first row")
        return processes

    @staticmethod
    def end(process):
        process.kill()
        process.communicate()

    def finish(self, process):
        out, err = process.communicate(timeout=launch.TIMEOUT_S)
        self.assertNotIn("concluded", out)
        return process.returncode, err

    def test_killed_rank(self):
        processes = self.start(3, "-N", "0")
        processes[1].kill()
        for rank in (0, 2):
            code, err = self.finish(processes[rank])
            self.assertEqual(code, 6, err)
            self.assertRegex(err, rf"^all_reduce_perf: rank {rank} on \S+: peer_failed: .*rank 1")

    def test_silent_rank(self):
        processes = self.start(3, "-N", "0", "-T", "5")
        processes[2].send_signal(signal.SIGSTOP)
        for rank in (0, 1):
            code, err = self.finish(processes[rank])
            self.assertEqual(code, 4, err)
            self.assertRegex(err, rf"^all_reduce_perf: rank {rank} on \S+: timed_out: .*rank 2")


class Rdma(unittest.TestCase):
    """rdma_perf where there is no device; the guests of `scripts/test rdma` run it with devices."""

    def test_no_device(self):
        if os.path.isdir("/sys/class/infiniband") and os.listdir("/sys/class/infiniband"):
            self.skipTest("this host has RDMA devices")
        done = launch.run(launch.command("tutti", 2, RDMA))
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"rdma_perf: rank 0 \(host .*\) has no RDMA device that can "
                         "be used: ")

    def test_two_ranks_only(self):
        done = launch.run(launch.command("tutti", 3, RDMA))
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("measures two ranks, but there are 3: start it with `tutti run -n 2`",
                      done.stderr)

    def test_usage(self):
        self.assertIn("ib_write_bw", launch.run([RDMA, "--help"]).stdout)
        done = launch.run([RDMA, "-b", "lots"])
        self.assertEqual(done.returncode, 2)
        self.assertIn("lots", done.stderr)


class Overlap(unittest.TestCase):
    """overlap_perf: communication beside computation, every result checked."""

    QUICK = ("-b", "4", "-e", "64K", "-f", "128", "-n", "3", "-w", "1")

    def test_table(self):
        for ranks in (1, 3):
            done = launch.run([OVERLAP, "-t", str(ranks), *self.QUICK])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([row[0] + " " + row[6] for row in rows(done.stdout)],
                             ["4 0", "512 0", "65536 0"], done.stdout)

    def test_json_under_every_launcher(self):
        for launcher in launch.launchers():
            with self.subTest(launcher):
                done = launch.run(launch.command(launcher, 2, OVERLAP, *self.QUICK, "--json"))
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(done.stdout)
                self.assertEqual(report["ranks"], 2)
                for row in report["results"]:
                    parts = row["compute_us"], row["communication_us"]
                    self.assertGreater(min(parts), 0)
                    self.assertAlmostEqual(row["overlap"],
                                           (sum(parts) - row["both_us"]) / min(parts))

    def test_help_and_bad_input(self):
        done = launch.run(launch.command("tutti", 2, OVERLAP, "--help"))
        self.assertEqual(done.stdout.count("--minbytes"), 1, done.stdout)
        done = launch.run([OVERLAP, "-b", "lots"])
        self.assertEqual(done.returncode, 2)
        self.assertIn('overlap_perf: --minbytes: "lots" is not a size', done.stderr)

    def test_memory_that_there_is_not(self):
        sanitizers = {name: os.environ.get(name, "") + " allocator_may_return_null=1"
                      for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")}
        done = launch.run([OVERLAP, "-b", "512T", "-e", "512T"], **sanitizers)
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertRegex(done.stderr, r"overlap_perf: rank 0 on \S+: unavailable: cannot have two "
                         r"buffers of \d+ bytes: there is too little memory; give a smaller "
                         r"--maxbytes")


class Threads(unittest.TestCase):
    """Ranks as threads of one process: no launcher."""

    def run_threads(self, ranks, *arguments, program=ALL_REDUCE, **environment):
        return launch.run([program, "-t", str(ranks), "-b", "8", "-e", "4K", "-f", "8", "-n", "3",
                           *arguments], **environment)

    def test_options_that_change_how_it_runs(self):
        for extra in (["-m", "3"], ["-z", "1"], ["-z", "3"], ["-u", "1"], ["-C", "1"], ["-a", "0"],
                      ["-N", "2"], ["-c", "3"], ["-w", "0"], ["-T", "60"],
                      ["--memory", "registered"], ["-R", "2"]):
            with self.subTest(extra):
                done = self.run_threads(2, *extra)
                self.assertEqual(done.returncode, 0, done.stderr)
                wrong = [row[8] + row[12] for row in rows(done.stdout)]
                self.assertEqual(set(wrong), {"00"}, done.stdout)

    def test_one_rank(self):
        done = self.run_threads(1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({row[7] for row in rows(done.stdout)}, {"0.00"})

    def test_added_columns(self):
        done = self.run_threads(2, "-I", "1", "-S", "1", "--algorithm-column")
        self.assertEqual(done.returncode, 0, done.stderr)
        for row in rows(done.stdout):
            self.assertEqual(len(row), 5 + 2 * 9 + 2 + 1, row)
            self.assertRegex(row[-3], r"^\d{4}-\d\d-\d\d$")
            self.assertRegex(row[-1], r"^[a-z_]+$")
        header = next(line for line in done.stdout.splitlines() if "i_p50" in line)
        self.assertEqual(header.split()[-2:], ["timestamp", "algo"])

    def test_unchecked_data(self):
        done = self.run_threads(2, "-c", "0")
        self.assertEqual({row[8] for row in rows(done.stdout)}, {"N/A"})

    def test_forced_algorithm_is_shown(self):
        done = self.run_threads(3, "--algorithm-column", TUTTI_ALGORITHM="all_reduce:ring")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({row[-1] for row in rows(done.stdout)}, {"ring"})

    def test_threshold(self):
        done = self.run_threads(2, "--min-busbw", "1e9")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"# Avg bus bandwidth    : \S+ FAILED")

    def test_json_on_standard_output(self):
        done = self.run_threads(2, "--json", "-I", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual([row["size"] for row in report["results"]], [8, 64, 512, 4096])
        self.assertEqual(len(report["config"]["devices"]), 2)
        self.assertEqual(report["exit_code"], 0)
        for row in report["results"]:
            self.assertEqual(row["in_place"]["nwrong"], 0)
            self.assertEqual(len(row["out_of_place"]["rank_times_us"]), 2)
            self.assertEqual(len(row["in_place_per_iter"]["times_us"]), 3)
            self.assertGreater(row["in_place"]["time"], 0)

    def test_json_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            done = self.run_threads(2, "-J", path, SECRET_OF_THE_TEST="hunter2")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(folder), ["report.json"])
            with open(path, encoding="utf-8") as file:
                text = file.read()
        self.assertNotIn("hunter2", text)
        self.assertEqual(len(json.loads(text)["results"]), len(rows(done.stdout)))

    def test_json_file_that_cannot_be_written(self):
        done = self.run_threads(2, "-J", "/nowhere/report.json")
        self.assertEqual(done.returncode, 3)
        self.assertIn('rank 0 on ', done.stderr)
        self.assertIn('cannot write "/nowhere/report.json"', done.stderr)
        self.assertIn("another rank failed", done.stderr)
        self.assertEqual(rows(done.stdout), [])

    def test_environment_that_makes_no_sense(self):
        done = self.run_threads(2, TUTTI_TIMEOUT_MS="soon")
        self.assertEqual(done.returncode, 3)
        self.assertIn("TUTTI_TIMEOUT_MS", done.stderr)

    def test_help_and_version(self):
        self.assertIn("--minbytes", launch.run([ALL_REDUCE, "--help"]).stdout)
        self.assertRegex(launch.run([BROADCAST, "--version"]).stdout, r"^tutti-tests version \d")


if __name__ == "__main__":
    unittest.main()
