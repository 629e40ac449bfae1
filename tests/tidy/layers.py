"""Includes follow the layer order of docs/ARCHITECTURE.md; headers and sources know their own."""

import re

# Layer -> the layers that it may include. A plan never includes a transport, nor the reverse.
ALLOWED = {
    "base": set(),
    "topology": {"base"},
    "plan": {"base"},
    "device": {"base"},
    "transport": {"base"},
    "bootstrap": {"base"},
    "collectives": {"base", "topology", "plan"},
    "runtime": {"base", "topology", "plan", "collectives", "device", "transport", "bootstrap"},
    # On top of the public headers alone.
    "c_api": {"base"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def includes(text):
    """(line, kind, what) of every include of one file."""
    return [(text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2))
            for match in INCLUDE.finditer(text)]


def layer_order(tree):
    problems = []
    for path, text in tree.code("src"):
        layer = path.split("/")[1]
        if layer not in ALLOWED:
            problems.append(f"{path}:1: no layer '{layer}' in tests/tidy/layers.py")
            continue
        for line, _, what in includes(text):
            target = what.split("/")[0]
            if target in ALLOWED and target != layer and target not in ALLOWED[layer]:
                problems.append(f"{path}:{line}: layer {layer} may not include {what}; it may use "
                                f"{', '.join(sorted(ALLOWED[layer])) or 'no other layer'}")
    return problems


def transports_apart(tree):
    """One transport never knows another: what they share is in src/transport itself."""
    problems = []
    for path, text in tree.code("src/transport"):
        parts = path.split("/")
        own = parts[2] if len(parts) > 3 else None
        for line, _, what in includes(text):
            target = what.split("/")
            if own and target[0] == "transport" and len(target) > 2 and target[1] != own:
                problems.append(f"{path}:{line}: transport {own} may not include {what}; move what "
                                "both need to src/transport")
    return problems


def public_headers(tree):
    """Public headers, examples and what strangers compile include public headers only."""
    problems = []
    for path, text in tree.code("include", "examples", "tests/install"):
        for line, kind, what in includes(text):
            beside = path.rsplit("/", 1)[0] + "/" + what
            own = not path.startswith("include/") and beside in tree.files
            if kind == '"' and not what.startswith("tutti/") and not own:
                problems.append(f'{path}:{line}: includes "{what}", which is not installed')
            if path.startswith("include/") and what.startswith(("fmt/", "hwy/")):
                problems.append(f"{path}:{line}: <{what}> would become part of the interface")
    return problems


def includes_exist(tree):
    """Own files are included with quotes, others with angle brackets."""
    problems = []
    roots = ["src/", "include/", "tests/", "perf/", "tools/", "examples/", ""]
    headers = tuple("/" + path for path in tree.files if path.endswith(".h"))
    for path, text in tree.code():
        for line, kind, what in includes(text):
            if kind == "<" and any(root + what in tree.files for root in roots):
                problems.append(f'{path}:{line}: own header <{what}>: write "{what}"')
            # Highway's sources include themselves once per instruction set.
            if kind == '"' and not any(header.endswith("/" + what) for header in headers) and (
                    "src/" + what != path):
                problems.append(f'{path}:{line}: "{what}" is no file of this tree: write <{what}>')
    return problems


def headers_used(tree):
    """A private header that nothing includes is left over."""
    used = {what.split("/")[-1] for _, text in tree.code() for _, _, what in includes(text)}
    return [f"{path}:1: nothing includes this header: remove it" for path, _ in tree.code()
            if path.endswith(".h") and not path.startswith("include/")
            and path.split("/")[-1] not in used]


CHECKS = [layer_order, transports_apart, public_headers, includes_exist, headers_used]
