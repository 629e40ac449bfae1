"""What a guest is made of: QEMU and a few tools as packages, and Debian's kernel in a cache.

The kernel package is never installed: it is downloaded and taken apart into
$XDG_CACHE_HOME/tutti/softroce/<key>/, which holds the kernel and the archive of busybox and modules
that every guest starts from. The folder appears whole, by a rename under a lock, so any number of
runs may share it, and one that was killed leaves nothing half-made.
"""

import contextlib
import fcntl
import glob
import hashlib
import lzma
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time

import cpio

# Those whose absence stops us, each with a program or file to tell it by.
PACKAGES = {
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "busybox-static": "/usr/share/doc/busybox-static",
    "kmod": "/usr/sbin/depmod",
    "iproute2": "/usr/bin/rdma",
    "libcap2-bin": "/usr/sbin/capsh",
    "ibverbs-providers": "/etc/libibverbs.d/rxe.driver",
    "ibverbs-utils": "/usr/bin/ibv_devinfo",
    "perftest": "/usr/bin/ib_write_bw",
}
KERNEL = "linux-image-amd64"
MODULES = ("crc32_generic crc32c_generic virtio_pci virtio_net virtio_console 9p 9pnet_virtio "
           "overlay rdma_rxe ib_uverbs rdma_ucm sch_netem sch_tbf").split()
APT = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
LOCK_S = 900  # another run may be downloading
XZ_MAGIC = b"\xfd7zXZ\0"


class Unavailable(Exception):
    """This machine cannot run guests; the text says in one line what is missing."""


def run(command, **options):
    """Runs to the end, quietly. The last words of what fails go into the exception."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600,
                          **options)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"'{' '.join(command)}' failed: {words}")
    return done.stdout


def missing_packages():
    return [name for name, path in PACKAGES.items() if not os.path.exists(path)]


def install_packages():
    missing = missing_packages()
    if not missing:
        return
    line = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get"):
        raise Unavailable(f"not installed, and there is no apt-get: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise Unavailable(f"packages are missing; install them with: sudo {line}")
    options = dict(env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    run([*APT, "update"], **options)
    run([*APT, "install", "-y", "--no-install-recommends", *missing], **options)
    if missing_packages():
        raise Unavailable(f"'{line}' did not bring {PACKAGES[missing_packages()[0]]}")


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base, "tutti", "softroce")


def cache_key():
    """A new set of modules or a new way to pack them needs a new folder."""
    text = KERNEL + " ".join(MODULES) + pathlib.Path(__file__).read_text()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def locked(root):
    """One run at a time prepares; the kernel drops the lock with the process."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        end = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Unavailable(f"another run has held {root}/lock for {LOCK_S} s") from None
                time.sleep(0.2)
        yield


def download_kernel(folder):
    """The path of Debian's newest kernel package for this release, downloaded into the folder."""
    def attempt():
        depends = run(["apt-cache", "depends", KERNEL]).splitlines()
        names = [line.split()[-1] for line in depends if "Depends: linux-image" in line]
        if not names:
            raise Unavailable(f"apt-cache knows no kernel package {KERNEL}")
        run([*APT, "download", names[0]], cwd=folder)
        return next(pathlib.Path(folder).glob("*.deb"))

    if not shutil.which("apt-cache"):
        raise Unavailable("there is no apt-cache to find Debian's kernel package with")
    try:
        return attempt()
    except Unavailable:
        if os.geteuid() != 0:
            raise
    run([*APT, "update"])
    return attempt()


def uncompressed(vmlinuz):
    """The kernel inside a compressed one. QEMU starts it as it is, which saves the guest the time
    to unpack it: under emulation that is more than half of a boot."""
    data = vmlinuz.read_bytes()
    start = data.find(XZ_MAGIC)
    return lzma.LZMADecompressor().decompress(data[start:]) if start >= 0 else data


def module_files(tree, version):
    """Paths of our modules and all that they need, in the order of loading."""
    run(["/usr/sbin/depmod", "-b", str(tree), version])
    paths = []
    for module in MODULES:
        lines = run(["/usr/sbin/modprobe", "-S", version, "-d", str(tree), "--show-depends",
                     module]).splitlines()
        paths += [line.split()[1] for line in lines if line.startswith("insmod")]
    return list(dict.fromkeys(paths))


def pack(tree, folder):
    """Writes the kernel and the base archive of a package that was taken apart."""
    version = os.path.basename(glob.glob(f"{tree}/lib/modules/*")[0])
    modules = module_files(tree, version)
    files = {"bin/busybox": pathlib.Path(shutil.which("busybox")).read_bytes()}
    files.update((f"modules/{os.path.basename(path)}", pathlib.Path(path).read_bytes())
                 for path in modules)
    files["modules/order"] = "".join(f"{os.path.basename(path)}\n" for path in modules).encode()
    (folder / "base.cpio").write_bytes(
        cpio.archive(["bin", "dev", "modules", "proc", "sys"], files))
    (folder / "kernel").write_bytes(uncompressed(tree / "boot" / f"vmlinuz-{version}"))


def prepare():
    """The folder with `kernel` and `base.cpio`; makes it, and installs packages, where needed."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"guests are x86-64 machines, this one is {platform.machine()}")
    root = cache_root()
    try:
        folder = root / cache_key()
        if folder.exists() and not missing_packages():
            return folder
        with locked(root):
            install_packages()
            if folder.exists():
                return folder
            for stale in root.glob("making-*"):
                shutil.rmtree(stale, ignore_errors=True)
            making = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=root))
            package = download_kernel(making)
            run(["dpkg-deb", "-x", str(package), str(making / "tree")])
            (making / "done").mkdir()
            pack(making / "tree", making / "done")
            (making / "done").rename(folder)
            shutil.rmtree(making)
            return folder
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise Unavailable(f"cannot prepare the guest's kernel below {root}: {failure}") from failure
