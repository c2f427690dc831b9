"""YAML that anybody may have written, read at a cost that its length bounds.

PyYAML's safe loader runs nothing of a file, but a page of aliases can stand for more values than
fit into memory, numbers can have a million digits, and of a key that is there twice it takes the
last without a word, as of the two limits of a joint.
"""

from __future__ import annotations

from typing import NoReturn

import yaml

LARGEST_BYTES = 4 << 20
MOST_VALUES = 200_000  # aliases written out
LONGEST_NUMBER = 100  # digits


def load_yaml(text: str) -> object:
    """What a text of one document says; raises ValueError, in one line, for what is no such text,
    says a key twice, or asks for more than is read."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _require_bounded(root, {})
        return loader.construct_document(root)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(_in_one_line(error)) from None


def _in_one_line(error: yaml.YAMLError) -> str:
    """Where it is, and what is wrong there; as it is, it has several lines and no file's name."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    told = f"{_place(error.problem_mark)}: {error.problem}"
    if error.context is not None and error.context_mark is not None:
        told += f", {error.context} from {_place(error.context_mark)} on"
    return " ".join(told.split())


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _require_bounded(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node stands for, aliases written out; `known` by the id of each node."""
    if id(node) in known:
        if known[id(node)] == 0:  # it is still being counted
            raise ValueError("a value in it contains itself")
        return known[id(node)]
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_require_bounded(one, known) for one in node.value)
    elif isinstance(node, yaml.MappingNode):
        count += sum(_require_bounded(one, known) for pair in node.value for one in pair)
    if count > MOST_VALUES:
        raise ValueError(f"it stands for more than {MOST_VALUES} values")
    known[id(node)] = count
    return count


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor) -> yaml.MappingNode:
        """Before maps are merged, which may well say what the map itself says."""
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    _refuse(key, f"the key {key.value!r:.80} is there twice")
                keys.add((key.tag, key.value))
        return node

    def construct_yaml_int(self, node) -> int:
        return super().construct_yaml_int(_short(node))

    def construct_yaml_float(self, node) -> float:
        return super().construct_yaml_float(_short(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


def _short(node: yaml.ScalarNode) -> yaml.ScalarNode:
    if len(node.value) > LONGEST_NUMBER:
        _refuse(node, f"a number has more than {LONGEST_NUMBER} digits")
    return node


def _refuse(node: yaml.Node, told: str) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, told, node.start_mark)
