"""The files of the package, and what they import."""

import ast

from conftest import ROOT

PACKAGE = ROOT / "tf_lottery"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imports(name):
    """Every module that a module of ours imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(name):
    prefix = "tf_lottery."
    names = {n.removeprefix(prefix) for n in imports(name) if prefix in n}
    return names & MODULES.keys()
