"""The built examples on one to four ranks: the same loss curve on any number of them."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "perf"))
import launch  # noqa: E402

HELLO = os.environ["HELLO"]
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

    @unittest.skipUnless("HELLO_MPI" in os.environ, "built without MPI")
    def test_with_mpi(self):
        self.check(launch.command("mpirun", 4, os.environ["HELLO_MPI"]), 4)


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
