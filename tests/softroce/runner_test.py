"""The runner itself, without a guest: archives, command lines, and what it says when this machine
cannot run guests."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import cpio
import machine
import provision

VM = pathlib.Path(__file__).resolve().parent / "vm"


def vm(*arguments, **environment):
    return subprocess.run([sys.executable, VM, *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=30, check=False)


class Archive(unittest.TestCase):
    def test_is_aligned_and_ends(self):
        data = cpio.archive(["bin"], {"bin/odd": b"12345", "empty": b""})
        self.assertEqual(len(data) % 4, 0)
        self.assertTrue(data.startswith(b"070701"))
        self.assertEqual(data.count(b"070701"), 4)
        self.assertIn(b"TRAILER!!!", data)

    @unittest.skipUnless(os.path.exists("/bin/busybox"), "needs busybox")
    def test_is_what_others_unpack(self):
        with tempfile.TemporaryDirectory() as folder:
            data = cpio.archive(["bin"], {"bin/odd": b"12345", "empty": b""})
            subprocess.run(["/bin/busybox", "cpio", "-id"], input=data, cwd=folder, check=True,
                           capture_output=True)
            self.assertEqual(pathlib.Path(folder, "bin/odd").read_bytes(), b"12345")
            self.assertTrue(os.access(pathlib.Path(folder, "bin/odd"), os.X_OK))
            self.assertEqual(pathlib.Path(folder, "empty").read_bytes(), b"")


class Usage(unittest.TestCase):
    def test_wrong_usage(self):
        self.assertEqual(vm("--nodes", "3", "--", "true").returncode, 2)
        done = vm("--nodes", "2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no command; put it after --", done.stderr)

    def test_skips_in_one_line_when_nothing_can_be_kept(self):
        done = vm("--", "true", XDG_CACHE_HOME="/proc/nowhere")
        self.assertEqual(done.returncode, 77)
        self.assertRegex(done.stderr, r"\Avm: no guests on this machine: .*\n\Z")


class Missing(unittest.TestCase):
    """Each reason why guests cannot run, as the user reads it."""

    def unavailable(self, call):
        with self.assertRaises(provision.Unavailable) as caught:
            call()
        return str(caught.exception)

    def test_other_processor(self):
        with mock.patch("platform.machine", return_value="riscv64"):
            self.assertEqual(self.unavailable(provision.prepare),
                             "guests are x86-64 machines, this one is riscv64")

    def test_packages_and_not_root(self):
        with mock.patch.object(provision, "missing_packages", return_value=["kmod", "perftest"]), \
                mock.patch("shutil.which", return_value="/usr/bin/apt-get"), \
                mock.patch("os.geteuid", return_value=1000):
            self.assertEqual(self.unavailable(provision.install_packages),
                             "packages are missing; install them with: sudo apt-get install -y "
                             "--no-install-recommends kmod perftest")

    def test_packages_and_no_debian(self):
        with mock.patch.object(provision, "missing_packages", return_value=["kmod"]), \
                mock.patch("shutil.which", return_value=None):
            self.assertEqual(self.unavailable(provision.install_packages),
                             "not installed, and there is no apt-get: kmod")

    def test_no_network(self):
        def refuse(command, **_):
            if "download" in command:
                raise provision.Unavailable("'apt-get download' failed: could not resolve")
            return "  Depends: linux-image-1-amd64\n"

        with mock.patch.object(provision, "run", side_effect=refuse), \
                mock.patch("shutil.which", return_value="/usr/bin/apt-cache"):
            self.assertIn("could not resolve",
                          self.unavailable(lambda: provision.download_kernel("/tmp")))

    def test_no_such_kernel(self):
        with mock.patch.object(provision, "run", return_value=""), \
                mock.patch("shutil.which", return_value="/usr/bin/apt-cache"):
            self.assertEqual(self.unavailable(lambda: provision.download_kernel("/tmp")),
                             "apt-cache knows no kernel package linux-image-amd64")

    def test_failed_command(self):
        words = self.unavailable(lambda: provision.run(["sh", "-c", "echo first; echo last >&2; "
                                                        "exit 1"]))
        self.assertIn("failed: last", words)


class CommandLine(unittest.TestCase):
    OPTIONS = machine.Options(nodes=2, rails=2, memory_mib=64, memlock="64", accelerator="tcg",
                              out="/out", limit_s=1, command=["echo", "two words"])

    def test_settings_and_command(self):
        data = machine.own_archive(self.OPTIONS, 1)
        self.assertIn(b"echo 'two words'\n", data)
        self.assertIn(b"node=1\nnodes=2\nrails=2\nmemlock=64\n", data)
        self.assertIn(b"share-out", data)

    def test_one_interface_per_rail_and_one_more(self):
        words = machine.network(self.OPTIONS, 1, [7, 8, 9])
        self.assertEqual([word for word in words if word.startswith("socket")],
                         [f"socket,id=net{number},fd={number + 7}" for number in range(3)])
        self.assertEqual(sum("virtio-net" in word for word in words), 3)


if __name__ == "__main__":
    unittest.main()
