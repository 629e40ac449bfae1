"""Files and functions that a person can hold in mind. The limits are smoke alarms, not goals."""

import re

from tree import line_of, strip

FILE_LINES = 500
FUNCTION_LINES = 70
NO_FUNCTION = re.compile(
    r"^\s*(inline\s+)?(template\s*<.*>\s*)?(namespace|class|struct|enum|union|extern)\b", re.DOTALL)


def file_size(tree):
    return [f"{path}:1: {text.count(chr(10))} lines; at most {FILE_LINES}: split it"
            for path, text in tree.select(None, (".h", ".cpp", ".c", ".py"))
            if text.count("\n") > FILE_LINES]


def functions(stripped):
    """(first line, last line) of every function that is not inside another one. A heuristic: a
    brace after something with parentheses opens a function unless a keyword says otherwise."""
    found, stack, begin = [], [], 0
    for match in re.finditer(r"[{};]", stripped):
        offset, mark = match.start(), match.group(0)
        if mark == "{":
            head = re.sub(r"^\s*#.*$", "", stripped[begin:offset], flags=re.MULTILINE)
            inside = any(kind == "function" for kind, _ in stack)
            is_function = "(" in head and not NO_FUNCTION.match(head) and not inside
            start = begin + len(stripped[begin:offset]) - len(stripped[begin:offset].lstrip())
            stack.append(("function" if is_function else "other", line_of(stripped, start)))
        elif mark == "}" and stack:
            kind, first = stack.pop()
            if kind == "function":
                found.append((first, line_of(stripped, offset)))
        begin = offset + 1
    return found


def function_size(tree):
    return [f"{path}:{first}: a function of {last - first + 1} lines; at most {FUNCTION_LINES}: "
            "name its parts"
            for path, text in tree.code() for first, last in functions(strip(text))
            if last - first + 1 > FUNCTION_LINES]


CHECKS = [file_size, function_size]
