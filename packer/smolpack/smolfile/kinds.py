"""What a value may be: checked here, and written as JSON Schema for editors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

# Keys that lead to a value, from the top.
Place: TypeAlias = tuple[str, ...]


class DefectError(Exception):
    """What is wrong at `place`."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place


class UnknownKeyError(DefectError):
    """The last part of `place` is a key that is not known there."""


@dataclass(frozen=True)
class Text:
    """A string that matches `pattern`, which means the same in Python and in ECMA 262; `expected`
    says it in words."""

    expected: str = "a string that is not empty"
    pattern: str = r"^[^\x00]+$"

    def check(self, value: Any, place: Place) -> None:
        if not isinstance(value, str):
            raise DefectError(place, f"expected {self.expected}, not {_type_name(value)}")
        if not re.search(self.pattern, value):
            raise DefectError(place, f"expected {self.expected}, not {value!r}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True)
class Number:
    """A whole number of `unit`s."""

    minimum: int
    maximum: int
    unit: str = ""

    def check(self, value: Any, place: Place) -> None:
        if type(value) is not int or not self.minimum <= value <= self.maximum:
            unit = f" ({self.unit})" if self.unit else ""
            shown = value if type(value) in (int, float) else _type_name(value)
            raise DefectError(
                place,
                f"expected a whole number{unit} from {self.minimum} to {self.maximum}, not {shown}",
            )

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Flag:
    """true or false."""

    def check(self, value: Any, place: Place) -> None:
        if not isinstance(value, bool):
            raise DefectError(place, f"expected true or false, not {_type_name(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, value: Any, place: Place) -> None:
        if value not in self.words:
            shown = repr(value) if isinstance(value, str) else _type_name(value)
            words = ", ".join(f'"{word}"' for word in self.words)
            raise DefectError(place, f"expected one of {words}, not {shown}")

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Several:
    """An array."""

    item: Text

    def check(self, value: Any, place: Place) -> None:
        if not isinstance(value, list):
            raise DefectError(
                place, f"expected an array, each item {self.item.expected}, not {_type_name(value)}"
            )
        for item in value:
            self.item.check(item, place)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class Table:
    """A table of known keys; of each group in `exclusive` at most one may be there, and one key
    must be if `required`."""

    keys: Mapping[str, "Key"]
    exclusive: tuple[tuple[str, ...], ...] = ()
    required: bool = False

    def check(self, value: Any, place: Place) -> None:
        if not isinstance(value, dict):
            raise DefectError(place, f"expected a table, not {_type_name(value)}")
        for name, inner in value.items():
            if name not in self.keys:
                raise UnknownKeyError((*place, name), "")
            self.keys[name].kind.check(inner, (*place, name))
        for group in self.exclusive:
            given = [name for name in value if name in group]
            if len(given) > 1:
                raise DefectError((*place, given[1]), f"give either this or {given[0]}, not both")
        if self.required and not value:
            raise DefectError(place, f"expected one of {', '.join(self.keys)}")

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: key.schema() for name, key in self.keys.items()},
        }
        pairs = [list(pair) for group in self.exclusive for pair in combinations(group, 2)]
        if pairs:
            found["not"] = {"anyOf": [{"required": pair} for pair in pairs]}
        if self.required:
            found["minProperties"] = 1
        return found


@dataclass(frozen=True)
class Names:
    """A table whose keys the user chooses."""

    name: Text
    value: Table

    def check(self, value: Any, place: Place) -> None:
        if not isinstance(value, dict):
            raise DefectError(place, f"expected a table, not {_type_name(value)}")
        for name, inner in value.items():
            self.name.check(name, (*place, name))
            self.value.check(inner, (*place, name))

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": self.name.pattern},
            "additionalProperties": self.value.schema(),
        }


Kind: TypeAlias = Text | Number | Flag | Choice | Several | Table | Names


@dataclass(frozen=True)
class Key:
    """A key's values, its meaning for people, and whether anything acts on it yet (a table's keys
    say so themselves)."""

    kind: Kind
    meaning: str
    acted_on: bool = field(default=True, kw_only=True)

    def schema(self) -> dict[str, Any]:
        note = "" if self.acted_on else " Kept for later: nothing acts on it yet."
        return {"description": f"{self.meaning}{note}", **self.kind.schema()}


_TYPE_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
)


def _type_name(value: Any) -> str:
    for kinds, name in _TYPE_NAMES:
        if isinstance(value, kinds):
            return name
    return "a date or time"
