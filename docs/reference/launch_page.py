"""launch.md: the arguments of every launch file, read without ROS's launch."""

from __future__ import annotations

import ast
import re

from writing import ROOT, code, made_by, table

INTRO = """
`ros2 launch vdd_ros FILE --show-args` shows the same. An argument is given as `name:=value`.
"""


def page() -> str:
    """One section for each file: what it starts, and its arguments."""
    parts = [made_by("Launch files", "`launch/`"), INTRO]
    for path in sorted((ROOT / "launch").glob("*.launch.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        about, _, examples = (ast.get_docstring(tree) or "").partition("\n\n")
        parts.append(f"\n## {path.name}\n\n{about}\n")
        if examples:
            even = re.sub(r"(?<=\S) {2,}", " ", examples)  # where the docstring goes on in a line
            parts.append(f"\n```text\n{even}\n```\n")
        rows = [row(call, assigned(tree)) for call in declarations(tree)]
        parts.append("\n" + table(("argument", "default", "meaning"), rows))
    return "".join(parts)


def declarations(tree: ast.AST) -> list[ast.Call]:
    """Every `DeclareLaunchArgument(...)`, in the order of the file."""
    found = [node for node in ast.walk(tree) if called(node) == "DeclareLaunchArgument"]
    return sorted(found, key=lambda node: node.lineno)


def called(node: ast.AST) -> str:
    """The name of the function that is called, empty where none is."""
    return getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""


def assigned(tree: ast.AST) -> dict[str, ast.expr]:
    """What the file's names stand for."""
    return {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def row(call: ast.Call, names: dict[str, ast.expr]) -> tuple[str, str, str]:
    """Name, default and description of one."""
    given = {one.arg: one.value for one in call.keywords}
    description = ast.literal_eval(given["description"])
    if "choices" in given:
        choices = ", ".join(code(one) for one in texts(given["choices"], names))
        description = f"{description} ({choices})"
    value = given.get("default_value")
    shown = "**needed**" if value is None else code(text(value, names)) or "empty"
    return code(ast.literal_eval(call.args[0])), shown, description


def texts(value: ast.expr, names: dict[str, ast.expr]) -> list[str]:
    """A list, with lists and maps of the file in it."""
    if isinstance(value, ast.Name):
        return texts(names[value.id], names)
    if isinstance(value, ast.Dict):
        keys = zip(value.keys, value.values, strict=True)
        return [
            name for key, one in keys for name in ([text(key, names)] if key else texts(one, names))
        ]
    assert isinstance(value, ast.List | ast.Tuple), ast.dump(value)
    found = [texts(v.value, names) if isinstance(v, ast.Starred) else v for v in value.elts]
    return [one for v in found for one in (v if isinstance(v, list) else [text(v, names)])]


def text(value: ast.expr, names: dict[str, ast.expr]) -> str:
    """A default as a person would write it; files are those below share/vdd_ros."""
    if isinstance(value, ast.Name):
        return text(names[value.id], names)
    if isinstance(value, ast.List):
        return "".join(text(one, names) for one in value.elts)
    match called(value):
        case "FindPackageShare":
            return ""
        case "PathJoinSubstitution":
            parts = [text(one, names) for one in value.args[0].elts]
            return "/".join(part for part in parts if part)
        case "LaunchConfiguration":
            return f"what {ast.literal_eval(value.args[0])} is"
        case "EnvironmentVariable":
            return f"${ast.literal_eval(value.args[0])}"
        case "":
            return str(ast.literal_eval(value))
    return "…"  # a choice that the file makes when it starts
