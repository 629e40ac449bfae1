"""scripts/compare_openmpi: what it asks of the programs, and what it makes of their answers."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

import launch

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/compare_openmpi"
PERF = pathlib.Path(os.environ["MPI_PERF"]).parent

loader = importlib.machinery.SourceFileLoader("compare_openmpi", str(SCRIPT))
script = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(script)

HEADER = ("collective      ranks  size  latency us  Open MPI us  ratio    size  busbw GB/s"
          "  Open MPI GB/s  ratio\n")


def rows(collective, ranks, sizes):
    """Three rounds; Tutti takes 1, 2 and 9 us, Open MPI 4 us."""
    def row(time_us, algorithm):
        half = {"time": time_us, "bus_bw": 8 / time_us}
        return {"out_of_place": half, "in_place": half, "algorithm": algorithm}
    rounds = {size: {script.TUTTI: [row(time, "ring") for time in (1, 9, 2)],
                     script.MPI: [row(4, "Open MPI v4")] * 3} for size in sizes}
    return [one for one in script.summarize(collective, ranks, rounds)
            if one["placement"] == "in_place"]


class Sizes(unittest.TestCase):
    def test_ends(self):
        self.assertEqual(script.sizes("all_reduce", 4, 8, 1 << 20, None), [8, 1 << 20])
        self.assertEqual(script.sizes("alltoall", 4, 8, 1 << 20, None), [32, 1 << 20])
        self.assertEqual(script.sizes("alltoall", 4, 8, 16, None), [32])
        self.assertEqual(script.sizes("barrier", 4, 8, 1 << 20, None), [0])

    def test_all_in_between(self):
        self.assertEqual(script.sizes("gather", 2, 8, 70, 2), [16, 32, 64])
        self.assertEqual(script.sizes("broadcast", 2, 8, 7, 2), [8])

    def test_iterations_fall_with_the_size(self):
        self.assertEqual(script.iterations(8, False), 20000)
        self.assertEqual(script.iterations(8, True), 2000)
        self.assertEqual(script.iterations(1 << 30, True), 4)

    def test_commands(self):
        build = pathlib.Path("/b")
        ours = script.command(script.TUTTI, build, "scatter", 2, 64, "tcp")
        self.assertIn("/b/perf/scatter_perf", ours)
        self.assertNotIn("--mca", ours)
        theirs = " ".join(script.command(script.MPI, build, "scatter", 999, 64, "tcp"))
        self.assertIn("-n 999 --oversubscribe --mca pml ob1 --mca btl tcp,self "
                      "/b/perf/mpi_perf --collective scatter -b 64 -e 64 ", theirs)


class Tables(unittest.TestCase):
    def test_medians_and_the_median_of_the_ratios(self):
        row = rows("gather", 4, [32])[0]
        self.assertEqual((row["tutti_us"], row["mpi_us"], row["ratio"]), (2, 4, 0.5))
        self.assertEqual((row["tutti_busbw"], row["mpi_busbw"]), (4, 2))
        self.assertEqual((row["algorithm"], row["mpi"]), ("ring", "Open MPI v4"))

    def test_ends(self):
        table = script.ends_table(rows("reduce_scatter", 4, [1 << 24, 32]) +
                                  rows("barrier", 2, [0]))
        self.assertEqual(
            script.layout(table, markdown=False), HEADER +
            "reduce_scatter      4  32 B        2.00         4.00   0.50  16 MiB        4.00"
            "           2.00   0.50\n"
            "barrier             2   0 B        2.00         4.00   0.50\n")

    def test_every_size_in_markdown(self):
        self.assertEqual(
            script.layout(script.sizes_table(rows("gather", 2, [2048])), markdown=True),
            "| collective | ranks | size | Tutti us | Open MPI us | ratio | Tutti GB/s | "
            "Open MPI GB/s | Tutti min..max | Open MPI min..max |\n"
            "| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n"
            "| gather | 2 | 2 KiB | 2.00 | 4.00 | 0.50 | 4.00 | 2.00 | 1.00..9.00 | 4.00..4.00 |\n")


class Runs(unittest.TestCase):
    def run_script(self, *arguments):
        return launch.run([sys.executable, "-B", str(SCRIPT), "--build", str(PERF.parent),
                           *arguments])

    @unittest.skipUnless(shutil.which("mpirun"), "there is no mpirun")
    def test_json(self):
        for transport in ("shm", "tcp"):
            done = self.run_script("-n", "2,3", "-c", "alltoall,hypercube,barrier", "-e", "4096",
                                   "-r", "1", "--json", "--transport", transport)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual(report["transport"], transport)
            found = {(row["collective"], row["ranks"], row["size"]) for row in report["rows"]}
            self.assertEqual(found, {
                ("alltoall", 2, 16), ("alltoall", 2, 4096), ("alltoall", 3, 24),
                ("alltoall", 3, 4092), ("hypercube", 2, 16), ("hypercube", 2, 4096),
                ("barrier", 2, 0), ("barrier", 3, 0)})
            for row in report["rows"]:
                self.assertGreater(row["ratio"], 0)
                self.assertIn("MPI", row["mpi"])

    @unittest.skipUnless(shutil.which("mpirun"), "there is no mpirun")
    def test_table(self):
        done = self.run_script("-n", "2", "-c", "broadcast", "-e", "4096", "-r", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^broadcast +2 +8 B .* 4 KiB ")
        self.assertRegex(done.stdout, r"Tutti is slower in \d of 2 measurements\.")

    def test_wrong_arguments(self):
        for arguments, message in (
                (["-c", "all_scatter"], "'all_scatter' is no collective; choose from all_reduce,"),
                (["-n", "2,x"], "'2,x' is no list of ranks, such as 2,4"),
                (["-n", "1"], "'1' is no list of ranks"),
                (["-b", "64", "-e", "8"], "--smallest 64 is more than --largest 8; give both"),
                (["-f", "1"], "--factor at least 2"),
                (["--json", "--markdown"], "not allowed with argument")):
            done = self.run_script(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)

    def test_nothing_to_compare(self):
        done = self.run_script("-c", "hypercube", "-n", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("# hypercube needs 2, 4, 8, ... ranks: 3 left out", done.stderr)
        self.assertIn("nothing to compare: choose other", done.stderr)

    def test_programs_that_are_not_built(self):
        done = self.run_script("--build", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/perf/mpi_perf is not there: build the preset 'release'",
                      done.stderr)

    def test_a_program_that_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            mpirun = pathlib.Path(folder, "mpirun")
            mpirun.write_text("#!/bin/sh\necho no such luck >&2\nexit 7\n")
            mpirun.chmod(mpirun.stat().st_mode | stat.S_IXUSR)
            done = subprocess.run(
                [sys.executable, "-B", str(SCRIPT), "--build", str(PERF.parent), "-c", "barrier"],
                capture_output=True, text=True, timeout=launch.TIMEOUT_S, check=False,
                env=launch.clean_environment(PATH=f"{folder}:{os.environ['PATH']}"))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"barrier_perf -b 0 .*\nended with status 7:\nno such luck")


if __name__ == "__main__":
    unittest.main()
