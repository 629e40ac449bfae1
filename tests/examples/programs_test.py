"""The built examples on one to four ranks: the same loss curve on any number of them."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "perf"))
import launch  # noqa: E402

EXAMPLES = os.environ["EXAMPLES"]
HELLO = os.path.join(EXAMPLES, "hello")
TRAIN = os.environ["TRAIN_DIGITS"]
EPOCHS = 12


class Hello(unittest.TestCase):
    def check(self, argv, ranks):
        done = launch.run(argv)
        self.assertEqual(done.returncode, 0, done.stderr)
        total = ranks * (ranks - 1) // 2
        for rank in range(ranks):
            self.assertIn(f"rank {rank} of {ranks}: the ranks add up to {total}", done.stdout)

    def test_alone(self):
        self.check([HELLO], 1)

    def test_under_launchers(self):
        for launcher in launch.launchers():
            with self.subTest(launcher):
                self.check(launch.command(launcher, 4, HELLO), 4)

    def test_in_c(self):
        program = os.path.join(EXAMPLES, "hello_c")
        self.check([program], 1)
        self.check(launch.command("tutti", 4, program), 4)

    @unittest.skipUnless("HELLO_MPI" in os.environ, "built without MPI")
    def test_with_mpi(self):
        self.check(launch.command("mpirun", 4, os.environ["HELLO_MPI"]), 4)


class Small(unittest.TestCase):
    """What the programs print on four ranks, and that they work on fewer."""

    def output(self, name, ranks=4):
        done = launch.run(launch.command("tutti", ranks, os.path.join(EXAMPLES, name)))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def expect(self, name, *lines, alone=True):
        said = self.output(name)
        for line in lines:
            self.assertRegex(said, rf"(?m)^{line}$")
        for ranks in (2, 3):
            self.output(name, ranks)
        if alone:
            self.output(name, 1)
            return
        refused = launch.run([os.path.join(EXAMPLES, name)])
        self.assertEqual(refused.returncode, 1)
        self.assertIn("start more than one rank", refused.stdout)

    def test_collectives(self):
        self.expect("collectives", r"all_reduce +60 64 68 72", r"reduce \(max\) +30 31 32 33",
                    r"broadcast +30 31 32 33", r"all_gather +0 10 20 30", r"gather +0 10 20 30",
                    r"all_to_all +0 10 20 30", r"reduce_scatter +60", r"scatter +30",
                    r"all_gather_v +0 10 11 20 21 22 30 31 32 33",
                    r"every rank has come to the barrier")

    def test_ring(self):
        self.expect("ring", r"the number came back as 6",
                    r"rank 0: 3\.4 \| 0\.1 0\.2 0\.3 0\.4 \| 1\.1",
                    r"rank 3: 2\.4 \| 3\.1 3\.2 3\.3 3\.4 \| 0\.1", alone=False)
        self.assertRegex(self.output("ring", 2),
                         r"(?m)^rank 0: 1\.4 \| 0\.1 0\.2 0\.3 0\.4 \| 1\.1$")

    def test_overlap(self):
        self.expect("overlap", r"rank 2: [0-6] of 6 layers .*, 6 in the end")

    def test_grid(self):
        self.expect("grid", r"rank 2 is in row 1 and column 0: the row adds up to 5, "
                            r"the column to 2")

    def test_tokens(self):
        self.expect("tokens", r"rank 0: expert 0 saw \d+ tokens; 8 of its own came back, "
                              r"each from its expert")
        counts = re.findall(r"saw (\d+) tokens", self.output("tokens"))
        self.assertEqual(sum(map(int, counts)), 4 * 8)

    def test_memory(self):
        for program in ("memory", "memory_c"):
            self.expect(program, r"rank 3: sums to 6 in allocated memory, "
                                 r"to 6 in registered memory")

    def test_errors(self):
        every = [line for rank in range(4) for line in (
            rf"rank {rank}, a negative count: invalid_argument: all_reduce: count is -1.*",
            rf"rank {rank}, different counts: mismatch: .*all_reduce\(float32, 99, sum\).*",
            rf"rank {rank}, (waiting|after its abort\(\)): aborted: rank 3 .*",
            rf"rank {rank}: the first communicator still works")]
        self.expect("errors", *every, alone=False)


class TrainDigits(unittest.TestCase):
    def train(self, launcher, ranks, *extra):
        done = launch.run(launch.command(launcher, ranks, TRAIN, "--json", "--epochs", str(EPOCHS),
                                         *extra))
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["ranks"], ranks)
        return result["epochs"]

    def compare(self, reference, other):
        self.assertEqual(len(other), EPOCHS)
        for expected, found in zip(reference, other):
            self.assertAlmostEqual(expected["loss"], found["loss"], delta=1e-5)
            self.assertAlmostEqual(expected["test_accuracy_percent"],
                                   found["test_accuracy_percent"], delta=0.3)
        self.assertGreater(other[-1]["test_accuracy_percent"], 95)

    def test_same_curve_on_any_number_of_ranks(self):
        reference = self.train("tutti", 1)
        self.assertLess(reference[-1]["loss"], reference[0]["loss"] / 5)
        for ranks in (2, 3, 4):
            with self.subTest(ranks):
                self.compare(reference, self.train("tutti", ranks))
        if "mpirun" in launch.launchers():
            self.compare(reference, self.train("mpirun", 4))

    def test_batch_that_no_number_of_ranks_divides(self):
        odd = ("--batch", "37")
        self.compare(self.train("tutti", 1, *odd), self.train("tutti", 4, *odd))

    def test_table(self):
        done = launch.run([TRAIN, "--epochs", "2", "--min-accuracy", "0"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1438 training and 359 test images, 1 ranks", done.stdout)
        self.assertEqual(len(re.findall(r"(?m)^ +[12]  +\d\.\d{6}  +\d+\.\d\d  +[\d.]+ ",
                                        done.stdout)), 2, done.stdout)

    def test_bad_input(self):
        done = launch.run([TRAIN, "--epochs", "1", "--min-accuracy", "100"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("is below --min-accuracy 100 %", done.stderr)
        self.assertEqual(launch.run([TRAIN, "--bogus"]).returncode, 2)
        self.assertEqual(launch.run([TRAIN, "--epochs", "0"]).returncode, 2)
        done = launch.run([TRAIN, "--data", "/nowhere.csv"])
        self.assertEqual(done.returncode, 3)
        self.assertIn('cannot read "/nowhere.csv"', done.stderr)


if __name__ == "__main__":
    unittest.main()
