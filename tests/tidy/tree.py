"""The files of the repository, and C++ text without its comments and strings."""

import os
import pathlib
import re

CODE = (".h", ".cpp", ".c")
TEXT = CODE + (".py", ".md", ".txt", ".cmake", ".in", ".json", ".map", ".sh", ".svg",
               "")
SKIPPED_FOLDERS = re.compile(r"^(build|build-.*|\.git|\.cache|__pycache__|Testing)$")


class Tree:
    """Relative path -> text of every file that a person wrote. Checks take a Tree and return
    problems, one "path:line: what, and what to do" each."""

    def __init__(self, files, root=None):
        self.files = files
        self.root = root

    @staticmethod
    def load(root):
        files = {}
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = sorted(name for name in subfolders if not SKIPPED_FOLDERS.match(name))
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if path.suffix in TEXT and path.is_file():
                    files[path.relative_to(root).as_posix()] = path.read_text(errors="replace")
        return Tree(files, root)

    def select(self, folders=None, suffixes=None):
        """(path, text) of the files below the folders that end in one of the suffixes."""
        for path, text in self.files.items():
            if suffixes and not path.endswith(tuple(suffixes)):
                continue
            if folders and not path.startswith(tuple(folder + "/" for folder in folders)):
                continue
            yield path, text

    def code(self, *folders):
        return self.select(folders or None, CODE)


# A raw string, a comment, a string or a character. A ' between digits separates thousands.
TOKEN = re.compile(
    r'R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'", re.DOTALL)


def blank(match):
    """Spaces in place of what matched, with its line breaks; quotes stay."""
    text = match.group(0)
    kept = "" if text.startswith("/") else '""'
    return kept + re.sub(r"[^\n]", " ", text)[len(kept):]


def strip(text):
    """C++ text without comments and without what strings say; every line keeps its number."""
    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
