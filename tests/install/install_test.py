"""Installs Tutti and uses it as a stranger would. One sub-test per function test_*.

test_prefix installs and then moves the tree; the others use the moved tree, so every one of them
also shows that nothing in it remembers where it was installed.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 1100


class Failure(Exception):
    """What went wrong, for a person."""


def run(*command, env=None, cwd=None):
    """Output of a command; Failure with the output when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=cwd,
                          env={**os.environ, **(env or {})}, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(words)}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Test:
    def __init__(self, args):
        self.source, self.build, self.args = args.source, args.build, args
        self.work = args.build / "install-test"
        self.prefix = self.work / "moved"

    # Setting up.

    def test_prefix(self):
        shutil.rmtree(self.work, ignore_errors=True)
        first = self.work / "installed"
        run("cmake", "--install", self.build, "--prefix", first)
        first.rename(self.prefix)

    def libdir(self):
        return next(self.prefix.rglob("libtutti.a")).parent

    def shared(self):
        return self.libdir() / f"libtutti.so.{self.args.version}"

    # The consumers.

    def consume(self, name, *options, source="consumer"):
        build = self.work / name
        shutil.rmtree(build, ignore_errors=True)
        launcher = self.args.launcher
        # The project that knows no C++ is given no compiler for it.
        cxx = [f"-DCMAKE_CXX_COMPILER={self.args.cxx}"]
        if launcher:
            cxx.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}")
        run("cmake", "-G", "Ninja", "-S", HERE / source, "-B", build,
            "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_C_COMPILER={self.args.cc}",
            *(cxx if source == "consumer" else []), *options)
        run("cmake", "--build", build, "--target", "consumer")
        self.expect_works(build / "consumer")

    def expect_works(self, program, env=None):
        said = run(program, env=env)
        if said != "2 ranks agree\n":
            raise Failure(f"{program} said {said!r}")

    def expect_linked(self, program, shared):
        needed = run("readelf", "-d", program)
        soname = "libtutti.so." + ".".join(self.args.version.split(".")[:2])
        if (f"[{soname}]" in needed) != shared:
            raise Failure(f"{program} should {'' if shared else 'not '}need {soname}:\n{needed}")

    def test_find_package_shared(self):
        self.consume("shared", "-DMODE=shared", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.expect_linked(self.work / "shared/consumer", True)

    def test_find_package_static(self):
        self.consume("static", "-DMODE=static", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.expect_linked(self.work / "static/consumer", False)

    def test_find_package_c_shared(self):
        self.consume("c-shared", "-DMODE=shared", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                     source="consumer_c")
        self.expect_linked(self.work / "c-shared/consumer", True)

    def test_find_package_c_static(self):
        self.consume("c-static", "-DMODE=static", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                     source="consumer_c")
        self.expect_linked(self.work / "c-static/consumer", False)

    def test_add_subdirectory(self):
        self.consume("subdirectory", "-DMODE=subdirectory", f"-DTUTTI_SOURCE_DIR={self.source}")

    def pkg_config(self, *options):
        env = {"PKG_CONFIG_PATH": str(self.libdir() / "pkgconfig")}
        return run("pkg-config", *options, "tutti", env=env).split()

    def compile_shared(self, name, *compile_it):
        program = self.work / name
        run(*compile_it, "-o", program, *self.pkg_config("--cflags", "--libs"), "-pthread")
        self.expect_works(program, {"LD_LIBRARY_PATH": str(self.libdir())})
        self.expect_linked(program, True)

    def compile_static(self, name, *compile_it):
        program = self.work / name
        # Both libraries lie in one folder, where the linker takes the shared one unless told.
        flags = ["-l:libtutti.a" if flag == "-ltutti" else flag
                 for flag in self.pkg_config("--cflags", "--libs", "--static")]
        run(*compile_it, "-o", program, *flags)
        self.expect_works(program)
        self.expect_linked(program, False)

    def compile_cxx(self):
        return self.args.cxx, "-std=c++20", HERE / "consumer/main.cpp"

    def compile_c(self):
        return (self.args.cc, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror",
                "-D_POSIX_C_SOURCE=200112L", HERE / "consumer_c/main.c")

    def test_pkg_config_shared(self):
        self.compile_shared("pkg-shared", *self.compile_cxx())

    def test_pkg_config_static(self):
        self.compile_static("pkg-static", *self.compile_cxx())

    def test_pkg_config_c_shared(self):
        self.compile_shared("pkg-c-shared", *self.compile_c())

    def test_pkg_config_c_static(self):
        self.compile_static("pkg-c-static", *self.compile_c())

    # What was installed.

    def test_version(self):
        version = self.args.version
        if self.pkg_config("--modversion") != [version]:
            raise Failure(f"pkg-config does not say {version}")
        dynamic = run("readelf", "-d", self.shared())
        soname = "libtutti.so." + ".".join(version.split(".")[:2])
        if f"Library soname: [{soname}]" not in dynamic:
            raise Failure(f"the SONAME is not {soname}:\n{dynamic}")
        said = run(self.prefix / "bin/tutti", "--version")
        if version not in said:
            raise Failure(f"tutti --version says {said!r}, not {version}")

    def test_symbols(self):
        exported = run("nm", "-D", "--defined-only", "-C", self.shared()).splitlines()
        names = [re.sub(r"^[0-9a-f]+ \w ", "", line) for line in exported]
        # tests/c_api/symbols_test.py knows which functions of C there are.
        ours = r"((typeinfo|typeinfo name|vtable) for )?tutti::[A-Za-z_~]|tutti_[a-z0-9_]+@@"
        strangers = [name for name in names
                     if not re.match(ours, name) and not name.startswith("TUTTI_0.1")]
        if not names or strangers:
            raise Failure("libtutti.so exports, beside tutti::,\n" + "\n".join(strangers[:20]))
        internal = [name for name in names if re.search(
            r"tutti::(plan|collectives|device|transport|bootstrap|runtime)::", name.split("(")[0])]
        if internal:
            raise Failure("libtutti.so exports internals\n" + "\n".join(internal[:20]))

    def test_files(self):
        headers = {path.name for path in (self.prefix / "include/tutti").iterdir()}
        public = {path.name for path in (self.source / "include/tutti").iterdir()}
        if headers != public:
            raise Failure(f"headers installed: {sorted(headers)}, public: {sorted(public)}")
        programs = {path.name for path in (self.prefix / "bin").iterdir()}
        wanted = {"tutti"} | {f"{what}_perf" for what in (
            "all_gather", "all_reduce", "alltoall", "alltoallv", "barrier", "broadcast", "gather",
            "hypercube", "overlap", "rdma", "reduce", "reduce_scatter", "scatter", "sendrecv")}
        if programs != wanted:
            raise Failure(f"programs installed: {sorted(programs)}, wanted: {sorted(wanted)}")
        for program in programs:
            run(self.prefix / "bin" / program, "--help")
        for path in self.prefix.rglob("*"):
            if path.suffix in (".cmake", ".pc") and str(self.source) in path.read_text():
                raise Failure(f"{path} names the source folder")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--source", "--build"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--cxx", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--launcher", default="")
    parser.add_argument("test")
    args = parser.parse_args()
    try:
        getattr(Test(args), "test_" + args.test)()
    except Failure as failure:
        print(f"install/{args.test}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
