"""Starting a program on several ranks, for tests: under `tutti run` and under Open MPI's mpirun."""

import os
import shutil
import signal
import subprocess

TIMEOUT_S = 120


def launchers():
    """Names of the launchers that this machine has."""
    return ["tutti"] + (["mpirun"] if shutil.which("mpirun.openmpi") else [])


def command(launcher, ranks, program, *arguments):
    if launcher == "tutti":
        return [os.environ["TUTTI_COMMAND"], "run", "-n", str(ranks), "--no-prefix", "--", program,
                *arguments]
    return ["mpirun.openmpi", "--oversubscribe", "-n", str(ranks), program, *arguments]


def clean_environment(**extra):
    """Ours without what a launcher around this test may have set."""
    foreign = ("TUTTI_", "OMPI_", "PMIX_", "PMI_", "SLURM_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(key, None)
    environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **extra)
    return environment


def run(argv, **environment):
    """The finished process, its output as text. A hang ends in an error, not in a stuck test."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=clean_environment(**environment), start_new_session=True)
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"{' '.join(argv)} hung\n{out}\n{err}") from None
    return subprocess.CompletedProcess(argv, process.returncode, out, err)
