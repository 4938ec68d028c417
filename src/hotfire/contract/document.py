"""YAML as plain values that know their lines, and remarks about them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import yaml
from msgspec import Struct, field

from hotfire.errors import ContractError

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys of mappings and indexes of lists, from the root."""

_TAG = "tag:yaml.org,2002:"
_NESTING = 50


class Remark(Struct, frozen=True):
    """One thing to say about a contract.

    Attributes:
        line: counted from 1.
        field: what people call the place: `temperature.hotfire.unit`.
        message: what is wrong, without file, line and field.
        suggestion: what to do about it; empty where there is nothing to suggest.
    """

    file: str
    line: int
    field: str
    level: Literal["error", "warning"]
    message: str
    suggestion: str = ""

    def error(self) -> ContractError:
        """The remark as something to raise."""
        place = f"{self.file}:{self.line}: {self.field}" if self.field else f"{self.file}:{self.line}"
        return ContractError(f"{place}: {self.message}", self.suggestion)


class Document(Struct, frozen=True):
    """One YAML text: its values (only those that JSON has too), its lines, and the remarks made so far."""

    file: str
    data: Any = None
    root: yaml.Node | None = None
    remarks: list[Remark] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a value, counted from 1; of its nearest parent where the value is not there."""
        node = self.root
        line = node.start_mark.line + 1 if node is not None else 1
        for step in path:
            node, found = _child(node, step)
            if found is None:
                break
            line = found.start_mark.line + 1
        return line

    def error(self, path: Path, name: str, message: str, suggestion: str = "") -> None:
        """Note something that has to be mended."""
        self.remarks.append(Remark(self.file, self.line(path), name, "error", message, suggestion))

    def warn(self, path: Path, name: str, message: str, suggestion: str = "") -> None:
        """Note something that is probably not meant so."""
        self.remarks.append(Remark(self.file, self.line(path), name, "warning", message, suggestion))


def read_document(file: str, text: str) -> Document:
    """Read YAML. What is not fit to be a contract (other types, endless nesting, repeated keys) becomes a remark."""
    try:
        root = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not YAML: {error.problem or error.context}"
        return _unreadable(file, mark.line + 1 if mark else 1, message)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return _unreadable(file, 1, f"not YAML: {' '.join(str(error).split())}")
    reader = _Reader(file)
    data = reader.value(root, 0) if root is not None else None
    return Document(file, data, root, reader.remarks)


@lru_cache(maxsize=8)
def _composed(text: str) -> yaml.Node | None:
    """The nodes of a text, which nobody changes. Texts are read twice: whose they are is asked first."""
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _unreadable(file: str, line: int, message: str) -> Document:
    remark = Remark(file, line, "", "error", message, "mend the YAML; quote texts with : # { [ ' in them")
    return Document(file, remarks=[remark])


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None, None


class _Reader(Struct):
    """Turns nodes into values. Stops at a size that no contract has, since aliases can grow without end."""

    file: str
    remarks: list[Remark] = field(default_factory=list)
    left: int = 100_000
    stopped: bool = False

    def refuse(self, node: yaml.Node, message: str, suggestion: str) -> None:
        self.remarks.append(Remark(self.file, node.start_mark.line + 1, "", "error", message, suggestion))

    def value(self, node: yaml.Node, depth: int) -> Any:
        self.left -= 1
        if self.stopped or depth > _NESTING or self.left < 0:
            if not self.stopped:
                self.refuse(node, "nested too deep, or too large", "write it flatter, with fewer aliases")
            self.stopped = True
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.ScalarNode):
            return None
        try:
            return _scalar(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            self.refuse(node, f"{str(node.value)[:40]!r} is not a value that JSON has", "quote it if it is text")
            return None

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                self.refuse(key, "a key is not text", "quote it")
            elif key.value in values:
                self.refuse(key, f"`{key.value}` is written twice", "keep one of them")
            else:
                values[key.value] = self.value(item, depth + 1)
        return values


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text, make = str(node.value), yaml.constructor.SafeConstructor()
    match node.tag.removeprefix(_TAG):
        case "str" | "timestamp":
            return text.encode().decode()
        case "null":
            return None
        case "bool":
            return bool(make.construct_yaml_bool(node))
        case "int":
            whole = int(make.construct_yaml_int(node))
            if not -(2**63) <= whole < 2**63:
                raise OverflowError
            return whole
        case "float":
            number = float(make.construct_yaml_float(node))
            if not math.isfinite(number):
                raise OverflowError
            return number
        case _:
            raise ValueError
