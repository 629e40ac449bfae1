"""The tidy checks themselves: each finds a planted violation, and leaves good code alone."""

import pathlib
import subprocess
import tempfile
import types
import unittest
import unittest.mock

import banned
import build
import clang_tidy_test
import documents
import layers
import sizes
import text
import tools
from tree import Tree, strip

GOOD_HEADER = "// What it is for.\n#pragma once\n\nint f();\n"


def found(check, files):
    return check(Tree(files))


class Planted(unittest.TestCase):
    def expect(self, check, path, content, *, says, others=()):
        problems = found(check, {path: content, **dict(others)})
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(says, problems[0])
        self.assertTrue(problems[0].startswith(path + ":"), problems[0])

    def expect_none(self, check, path, content, others=()):
        self.assertEqual(found(check, {path: content, **dict(others)}), [])


class Layers(Planted):
    def test_order(self):
        self.expect(layers.layer_order, "src/plan/a.cpp", '\n#include "transport/port.h"\n',
                    says=":2: layer plan may not include transport/port.h")
        self.expect(layers.layer_order, "src/transport/a.cpp", '#include "plan/step.h"\n',
                    says="layer transport may not include plan/step.h")
        self.expect(layers.layer_order, "src/odd/a.cpp", "", says="no layer 'odd'")
        self.expect_none(layers.layer_order, "src/runtime/a.cpp",
                         '#include "plan/step.h"\n#include "transport/port.h"\n')

    def test_transports(self):
        self.expect(layers.transports_apart, "src/transport/shm/a.cpp",
                    '#include "transport/tcp/link.h"\n', says="shm may not include")
        self.expect_none(layers.transports_apart, "src/transport/shm/a.cpp",
                         '#include "transport/port.h"\n#include "transport/shm/link.h"\n')

    def test_public(self):
        self.expect(layers.public_headers, "include/tutti/a.h", '#include "base/try.h"\n',
                    says="which is not installed")
        self.expect(layers.public_headers, "include/tutti/a.h", "#include <fmt/format.h>\n",
                    says="part of the interface")
        self.expect_none(layers.public_headers, "include/tutti/a.h", '#include "tutti/status.h"\n')
        self.expect_none(layers.public_headers, "examples/a/a.cpp", '#include "b.h"\n',
                         {"examples/a/b.h": ""})

    def test_exist(self):
        own = {"src/base/fd.h": ""}
        self.expect(layers.includes_exist, "src/base/a.cpp", "#include <base/fd.h>\n",
                    says="own header", others=own)
        self.expect(layers.includes_exist, "src/base/a.cpp", '#include "vector"\n',
                    says="no file of this tree")
        self.expect_none(layers.includes_exist, "src/base/a.cpp", '#include "base/fd.h"\n', own)

    def test_used(self):
        self.expect(layers.headers_used, "src/base/a.h", GOOD_HEADER, says="nothing includes")
        self.expect_none(layers.headers_used, "src/base/a.h", GOOD_HEADER,
                         {"src/base/a.cpp": '#include "base/a.h"\n'})


class Text(Planted):
    def test_line_length(self):
        self.expect(text.line_length, "src/base/a.cpp", "\n//" + "x" * 99 + "\n",
                    says="101 columns")
        self.expect_none(text.line_length, "src/base/a.cpp", "//" + "x" * 98 + "\n")

    def test_white_space(self):
        self.expect(text.white_space, "a.cpp", "int a; \n", says="spaces at the end")
        self.expect(text.white_space, "a.cpp", "\tint a;\n", says="a tab")
        self.expect(text.white_space, "a.cpp", "int a;", says="no line break")
        self.expect_none(text.white_space, "a.cpp", "int a;\n")

    def test_finished(self):
        for word in ("TO" "DO", "FIX" "ME", "not yet impl" "emented", "not impl" "emented"):
            self.expect(text.finished, "a.cpp", f"int a;  // {word}: b\n", says="finish it")
        self.expect_none(text.finished, "a.cpp", "int a;  // mkstemp wants XXXXXX\n")

    def test_machine_paths(self):
        self.expect(text.no_machine_paths, "README.md", "See /ho" "me/jane/notes.\n",
                    says="one machine")
        self.expect_none(text.no_machine_paths, "README.md", "See frame/ho" "me/x and /usr/lib.\n")

    def test_header(self):
        self.expect(text.header_opening, "a.h", "#pragma once\n", says="open with a comment")
        self.expect(text.header_opening, "a.h", "// Why.\n", says="no #pragma once")
        self.expect_none(text.header_opening, "a.h", GOOD_HEADER)

    def test_names(self):
        self.expect(text.names, "src/base/BigFile.cpp", "", says="snake_case")
        self.expect(text.names, "src/base/a.cc", "", says=".cpp")
        self.expect_none(text.names, "src/base/slot_ring.cpp", "")


class Banned(Planted):
    SAMPLES = {
        "sprintf": "std::sprintf(b, f);", "strcpy": "strncpy(a, b, 3);", "atoi": "atoi(a);",
        "rand": "int a = rand();", "sleep": "std::this_thread::sleep_for(d);",
        "endl": "out << std::endl;", "getenv": 'std::getenv("A");', "setenv": "setenv(a, b, 1);",
        "printf": 'std::printf("a");', "exit": "std::exit(1);", "throw": "throw 1;",
        "volatile": "volatile int a;", "malloc": "void* a = std::malloc(3);",
        "detach": "thread.detach();", "system": "std::system(a);",
        "shm_open": "shm_open(a, 0, 0);", "wall clock": "std::chrono::system_clock::now();",
        "gethostbyname": "gethostbyname(a);", "using namespace": "using namespace std;",
    }

    def test_every_ban(self):
        self.assertEqual(set(self.SAMPLES), {ban.name for ban in banned.BANS})
        for name, sample in self.SAMPLES.items():
            with self.subTest(name):
                self.expect(banned.banned_calls, "src/plan/a.cpp", f"{sample}\n", says=f"({name})")
                self.expect_none(banned.banned_calls, "src/plan/a.cpp", f"// {sample}\n")
                self.expect_none(banned.banned_calls, "src/plan/a.cpp",
                                 f"{sample}  // tidy: allow {name}: the reason\n")

    def test_places(self):
        self.expect_none(banned.banned_calls, "src/base/config.cpp", "getenv(a);\n")
        self.expect_none(banned.banned_calls, "perf/a.cpp", 'std::printf("a");\n')

    def test_good_code(self):
        good = ("communicator.abort();", "list.free();", "snprintf(a, 3, b);", "int operand(int);",
                'x = "rand()";', "asm volatile(\"\");", "deadline.exit_code();")
        for line in good:
            with self.subTest(line):
                self.expect_none(banned.banned_calls, "src/plan/a.cpp", line + "\n")

    def test_allow_needs_a_reason(self):
        self.expect(banned.banned_calls, "src/plan/a.cpp", "throw 1;  // tidy: allow throw:\n",
                    says="(throw)")


class Sizes(Planted):
    def test_file(self):
        self.expect(sizes.file_size, "a.cpp", "\n" * 501, says="501 lines")
        self.expect_none(sizes.file_size, "a.cpp", "\n" * 500)

    def test_function(self):
        body = "  a();\n" * 69
        for head in ("int f(int a)", "Status X::f() const noexcept", "TEST(A, B)",
                     "X::X(int a) : a_(a)", "template <typename T>\nint f(T a)"):
            with self.subTest(head):
                self.expect(sizes.function_size, "a.cpp",
                            f"namespace n {{\n{head} {{\n{body}}}\n}}\n",
                            says=f"a function of {71 + head.count(chr(10))} lines")
                self.expect_none(sizes.function_size, "a.cpp", f"{head} {{\n{body[7:-7]}}}\n")

    def test_not_a_function(self):
        body = "  int a;\n" * 99
        for head in ("class A", "namespace n", "struct alignas(64) A", "enum class A : int"):
            with self.subTest(head):
                self.expect_none(sizes.function_size, "a.cpp", f"{head} {{\n{body}}};\n")


class Documents(Planted):
    SOURCE = {"src/base/config.cpp": 'read("TUTTI_A");\n'}
    HEADER = {"include/tutti/config.h": "// TUTTI_A\n"}

    def test_variables(self):
        self.expect(documents.variables, "src/base/config.cpp", 'read("TUTTI_A");\n',
                    says="not described in include", others={"README.md": "| `TUTTI_A` | a |\n"})
        self.expect(documents.variables, "src/base/config.cpp", 'read("TUTTI_A");\n',
                    says="not in README.md's table", others=self.HEADER)
        self.expect(documents.variables, "README.md", "| `TUTTI_A` | a |\n| `TUTTI_B` | b |\n",
                    says="TUTTI_B is in the table, but nothing reads it",
                    others={**self.SOURCE, **self.HEADER})

    def test_algorithms(self):
        table = 'Algorithm{Kind::reduce, "flat", flat_reduce, flat_reduce_cost},\n'
        page = {"docs/api/main.md": "| reduce | flat | 1 |\n"}
        readme = {"README.md": "| `reduce` | chain, flat |\n"}
        self.expect(documents.algorithms, "docs/api/main.md", "", says="reduce's algorithm flat",
                    others={"src/collectives/algorithms.cpp": table, **readme})
        self.expect(documents.algorithms, "README.md", "| `reduce` | chain |\n",
                    says="reduce's algorithm flat",
                    others={"src/collectives/algorithms.cpp": table, **page})
        self.expect_none(documents.algorithms, "src/collectives/algorithms.cpp", table,
                         {**page, **readme})

    def test_links(self):
        self.expect(documents.links, "docs/a.md", "[b](../b.md)\n", says="leads nowhere")
        self.expect_none(documents.links, "docs/a.md", "[b](../b.md#c) [d](https://e.f) [g](h)\n",
                         {"b.md": "", "docs/h/i.md": ""})

    def test_decisions(self):
        self.expect(documents.decisions, "docs/decisions/0002-b.md", "", says="should be 0001",
                    others={"docs/ARCHITECTURE.md": "[b](decisions/0002-b.md)"})
        self.expect(documents.decisions, "docs/decisions/0001-b.md", "", says="does not list it")


class Build(unittest.TestCase):
    def test_sources(self):
        tree = Tree({"src/base/a.cpp": "", "src/base/b.cpp": ""})
        problems = build.sources_built(tree, {"src/base/a.cpp"})
        self.assertEqual(len(problems), 1)
        self.assertIn("src/base/b.cpp:1: no target compiles", problems[0])

    def test_registered(self):
        tree = Tree({"tests/base/a_test.cpp": "", "tests/base/b_test.cpp": "",
                     "tests/base/c_test.py": ""})
        problems = build.tests_registered(tree, {"base_a_test", "python3", "c_test.py"})
        self.assertEqual(len(problems), 1)
        self.assertIn("tests/base/b_test.cpp:1: ctest does not run", problems[0])


class Tools(unittest.TestCase):
    def check(self, check, name, content, mode=0o755):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            path.write_text(content)
            path.chmod(mode)
            return check(Tree.load(folder))

    def test_format(self):
        self.assertEqual(self.check(tools.formatted, "a.cpp", "int a;\n"), [])
        problems = self.check(tools.formatted, "a.cpp", "int    a  ;\n")
        self.assertIn("clang-format -i", problems[0])

    def test_scripts(self):
        shebang = "#!/usr/bin/env bash\n"
        self.assertEqual(self.check(tools.scripts_parse, "a", shebang + "true\n"), [])
        self.assertEqual(len(self.check(tools.scripts_parse, "a", shebang + "if\n")), 1)
        problems = self.check(tools.scripts_parse, "a", shebang, mode=0o644)
        self.assertIn("not executable", problems[0])


class Stripping(unittest.TestCase):
    def test_lines_stay(self):
        source = 'a /* b\nc */ d "e // f" // g\n1\'000\'000; R"x(rand()\n)x" \'"\' h\n'
        stripped = strip(source)
        self.assertEqual(stripped.count("\n"), source.count("\n"))
        for gone in ("b", "c", "e", "f", "g", "rand"):
            self.assertNotIn(gone, stripped.replace("\n", " ").split())
        for kept in ("a", "d", "h", "1'000'000;"):
            self.assertIn(kept, stripped.split())


class ClangTidy(unittest.TestCase):
    def look(self, status):
        with tempfile.TemporaryDirectory() as folder:
            build_folder = pathlib.Path(folder)
            (build_folder / "clang-tidy-clean").mkdir()
            stamp = build_folder / "clang-tidy-clean" / "stamp"
            job = types.SimpleNamespace(path="src/a.cpp", flags=[], stamp=stamp)
            done = subprocess.CompletedProcess([], status, stdout="", stderr="")
            with unittest.mock.patch.object(subprocess, "run", return_value=done):
                said = clang_tidy_test.look(pathlib.Path("/r"), build_folder, [job])
            return said, stamp.exists()

    def test_clean_files_are_marked(self):
        self.assertEqual(self.look(0), ("", True))

    def test_death_without_a_word_is_no_success(self):
        self.assertEqual(self.look(-9),
                         ("clang-tidy ended with status -9 on src/a.cpp\n", False))


if __name__ == "__main__":
    unittest.main()
