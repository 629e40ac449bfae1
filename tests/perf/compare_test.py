"""scripts/compare: how peers are started, and whole runs with the programs of Tutti and of the
limits, which every build has."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import launch

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/compare"
BUILD = pathlib.Path(os.environ["COMPARE_TUTTI"]).parents[2]
sys.path.insert(0, str(ROOT / "perf/compare/driver"))

import main  # noqa: E402  (the path comes first)
import networks  # noqa: E402
import peers  # noqa: E402
import picture  # noqa: E402


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

    def test_neighbours_share_cores(self):
        words, _ = self.words("Tutti", self.place(ranks=4))
        self.assertEqual(words, [f"taskset -c {cpu} /b/p /f 1048576 {rank} 4"
                                 for rank, cpu in enumerate((0, 0, 1, 1))])
        cpus = sorted(os.sched_getaffinity(0))[:2]
        at = self.place(ranks=2 * len(cpus))._replace(cpus=tuple(cpus))
        for variable in ("OMPI_COMM_WORLD_RANK", "PMI_RANK"):
            for rank in range(at.ranks):
                done = subprocess.run(
                    [*peers.pinned(at, sys.executable), "-c",
                     "import os; print(*os.sched_getaffinity(0))"],
                    check=True, env=peers.environment(**{variable: str(rank)}),
                    capture_output=True, text=True, timeout=launch.TIMEOUT_S)
                self.assertEqual(done.stdout, f"{cpus[rank // 2]}\n")

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
        # Only the newest knows it, and needs it only where cores are shared.
        threshold = "MPIR_CVAR_POSIX_NUM_COLLS_THRESHOLD"
        for name, ranks, known in (("MPICH, newest", 2, False), ("MPICH, newest", 4, True),
                                   ("MPICH", 4, False)):
            at = self.place(ranks)
            peer = next(peer for peer in peers.PEERS if peer.name == name)
            self.assertEqual(threshold in self.words(name, at)[1], known, name)
            self.assertEqual(threshold in peer.tuning(at), known, name)

    def test_others(self):
        self.assertEqual(self.words("Gloo", self.place())[0],
                         ["/b/p /f 1048576 0 2", "/b/p /f 1048576 1 2"])
        words, settings = self.words("oneCCL", self.place(2, "tcp"))
        self.assertEqual(words, ["/b/peers/oneccl/bin/mpiexec -n 1 /b/p /f 1048576 0 2 : -n 1 /b/p "
                                 "/f 1048576 1 2"])
        self.assertEqual((settings["I_MPI_FABRICS"], settings["FI_PROVIDER"]), ("ofi", "tcp"))
        self.assertIn("I_MPI_WAIT_MODE=1", peers.intel_tuning(self.place(4)))

    def test_names(self):
        def names(*wanted):
            return [peer.name for peer in main.wanted(wanted)]

        self.assertEqual(names("mpich", "gloo"), ["MPICH", "Gloo"])
        self.assertEqual(names("newest"), ["Open MPI, newest", "MPICH, newest"])
        self.assertEqual(names("none"), [])
        self.assertEqual(len(main.wanted(None)), len(peers.PEERS))

    def test_nccl_needs_gpus(self):
        self.assertIn("it needs a GPU for each of 1000 ranks, and this machine has",
                      peers.too_few_gpus(self.place(ranks=1000)))


# Blocks of one element each, of which less than one is sent.
EMPTY = (("alltoallv", 2, 8), ("alltoallv", 3, 12))


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
                if (one["collective"], one["ranks"], one["size"]) in EMPTY:
                    self.assertIsNone(one["limit"])
                    continue
                for name, ratios in one["ratios"].items():
                    self.assertGreater(ratios["to_limit"]["median"], 0, name)
            again = self.run_script("--show", str(report), "--check", str(report), "--markdown")
            self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
            self.assertIn("none of which fell to half of what was recorded", again.stdout)
            if not any(map(picture.has_matplotlib, (sys.executable, picture.DEBIANS))):
                self.skipTest("there is no matplotlib")
            done = self.run_script("--show", str(report), "--svg", str(svg))
            self.assertEqual(done.returncode, 0, done.stderr)
            drawn = svg.read_text(encoding="utf-8")
            self.assertIn("all_reduce, 3 ranks, shm, out of place", drawn)
            self.assertIn(">limit<", drawn)

    def test_both_transports(self):
        done = self.quick("-c", "all_reduce,gather", "--transport", "shm,tcp")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 ranks, shm:\n", done.stdout)
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
                (["-p", "both"], "'both' is no placement; choose from out_of_place,in_place,fresh"),
                (["-n", "2,x"], "'2,x' is no list of ranks, such as 2,4"),
                (["-n", "1"], "'1' is no list of ranks"),
                (["-b", "1Z"], "'1Z' is no size, such as 8, 4K or 64M"),
                (["-b", "64", "-e", "8"], "--smallest 64 is more than --largest 8; give both"),
                (["-f", "1"], "--factor at least 2"),
                (["--transport", "ib"], "'ib' is no transport; choose from shm,tcp"),
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
