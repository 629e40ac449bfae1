"""Files of shared memory that killed processes of the peers leave behind."""

import contextlib
import os
import pathlib

FOLDER = pathlib.Path("/dev/shm")
# MPICH, Open MPI, Intel MPI, and libfabric below the last.
PATTERNS = ("mpich_shm_*", "vader_segment.*", "sm_segment.*", "Intel_MPI_*", "psm2*")


def found():
    """The files that there are, this user's and others'."""
    return {path for pattern in PATTERNS for path in FOLDER.glob(pattern)}


def in_use(paths):
    """Those that a process has opened or mapped. In this order: who opens, maps and closes one
    meanwhile is seen in one of both."""
    names, used = {str(path) for path in paths}, set()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            for file in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    used.add(os.readlink(file))
            maps = (process / "maps").read_text(encoding="utf-8", errors="replace")
            used |= {"/" + line.partition("/")[2] for line in maps.splitlines()}
    return {pathlib.Path(name) for name in names & used}


def remove(before):
    """This user's files that were not there before and that no process has."""
    new = found() - before
    for path in new and new - in_use(new):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.geteuid():
                path.unlink()
