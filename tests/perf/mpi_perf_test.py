"""mpi_perf under mpirun: every collective of MPI gives what ours give, measured in the same way."""

import json
import os
import shutil
import unittest

import launch

MPI = os.environ["MPI_PERF"]
COLLECTIVES = ("all_reduce", "broadcast", "reduce", "all_gather", "reduce_scatter", "alltoall",
               "alltoallv", "gather", "scatter", "sendrecv", "hypercube", "barrier")
QUICK = ("-b", "64", "-e", "64K", "-f", "32", "-n", "2")


@unittest.skipUnless(shutil.which("mpirun.openmpi"), "there is no mpirun")
class MpiPerf(unittest.TestCase):
    def run_mpi(self, ranks, *arguments):
        return launch.run(launch.command("mpirun", ranks, MPI, *arguments))

    def report(self, ranks, *arguments):
        done = self.run_mpi(ranks, *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_every_collective_gives_the_right_result(self):
        for collective in COLLECTIVES:
            for ranks in (2, 3, 4):
                if collective == "hypercube" and ranks == 3:
                    continue
                with self.subTest(f"{collective} {ranks}"):
                    report = self.report(ranks, "--collective", collective, *QUICK, "-r", "all")
                    for row in report["results"]:
                        for place in ("out_of_place", "in_place"):
                            self.assertEqual(row[place]["nwrong"], 0, row)
                            self.assertGreater(row[place]["time"], 0, row)
                        self.assertIn("MPI", row["algorithm"])
                    self.assertEqual(report["config"]["ranks"], ranks)
                    self.assertEqual(report["latency"] is not None, collective == "barrier")

    def test_types_and_operators(self):
        self.report(2, *QUICK, "-d", "double,int32,uint64", "-o", "sum,prod,min,max,band,bor,bxor",
                    "-z", "1")
        # Sums of narrower integers saturate in some versions of Open MPI, where ours wrap.
        self.report(2, *QUICK, "-d", "int8", "-o", "min,max,band,bor,bxor")
        self.report(2, "--collective", "alltoall", *QUICK, "-d", "all", "-z", "3")

    def test_the_default_is_all_reduce(self):
        done = self.run_mpi(2, *QUICK)
        self.assertIn("# Collective test starting: mpi_perf --collective all_reduce", done.stdout)

    def test_what_mpi_does_not_have(self):
        for arguments, message in (
                (["-d", "half"], "MPI cannot reduce half; give -d float, double or an integer"),
                (["-o", "avg"], "MPI has no operator avg; give -o sum, prod, min, max, band"),
                (["--collective", "all_scatter"], "all_scatter not in {all_reduce,broadcast,"),
                (["--collective"], "--collective: 1 required TEXT"),
                (["-t", "2"], "--nthreads must be 1: a rank of MPI is a process; start more with "
                              "mpirun -n"),
                (["-T", "5"], "--timeout must be 0: MPI's calls wait for ever; use mpirun "),
                (["--memory", "allocated"], "--memory must be private: the communicator's memory "),
                (["-m", "2"], "--agg_iters must be 1: the calls of MPI that are measured are "
                              "blocking ones"),
                (["--bogus"], "--bogus\nTry mpi_perf --help.")):
            with self.subTest(arguments):
                done = self.run_mpi(2, "-b", "64", "-e", "64", *arguments)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(message, done.stderr)

    def test_another_launcher(self):
        done = launch.run(launch.command("tutti", 2, MPI, *QUICK))
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"mpi_perf: rank \d on \S+: invalid_environment: MPI sees "
                         r"rank 0 of 1, Tutti rank \d of 2; start mpi_perf with mpirun")

    def test_help(self):
        done = self.run_mpi(2, "--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("mpi_perf --collective NAME"), 1)
        self.assertEqual(done.stdout.count("--minbytes"), 1)


if __name__ == "__main__":
    unittest.main()
