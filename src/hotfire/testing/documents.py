"""Finding documents in a collection as the SpaceX API does it: MongoDB's queries, and pages of what they find."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

Document = dict[str, Any]
"""One record as JSON has it."""


def page(documents: Sequence[Document], body: Mapping[str, Any]) -> Document:
    """What `POST .../query` answers: the documents found, and where among all pages they stand.

    Raises:
        ValueError: an operator, or an option of a kind, that is not known.
    """
    query, options = body.get("query") or {}, body.get("options") or {}
    found = ordered([one for one in documents if matches(one, query)], options.get("sort"))
    total = len(found)
    if options.get("pagination", True) is False:
        limit, number, first, shown = total, 1, 0, found
    else:
        limit = _count(options.get("limit", 10), "limit")
        number = max(_count(options.get("page", 1), "page"), 1)
        first = _count(options["offset"], "offset") if "offset" in options else (number - 1) * limit
        number = first // limit + 1 if limit else 1
        shown = found[first : first + limit]
    pages = max(-(-total // limit), 1) if limit else 1
    return {
        "docs": [selected(one, options.get("select")) for one in shown],
        "totalDocs": total,
        "limit": limit,
        "totalPages": pages,
        "page": number,
        "pagingCounter": first + 1,
        "hasPrevPage": number > 1,
        "hasNextPage": number < pages,
        "prevPage": number - 1 if number > 1 else None,
        "nextPage": number + 1 if number < pages else None,
    }


def matches(document: Document, query: Mapping[str, Any]) -> bool:
    """Whether every condition of the query holds of the document."""
    several: dict[str, Callable[[Iterable[bool]], bool]]
    several = {"$and": all, "$or": any, "$nor": lambda parts: not any(parts)}
    return all(
        several[name](matches(document, one) for one in condition)
        if name in several
        else _holds(document, "id" if name == "_id" else name, condition)
        for name, condition in query.items()
    )


def ordered(documents: Sequence[Document], sort: Any) -> list[Document]:
    """The documents by `"-date_utc name"` or `{"date_utc": "desc"}`; null before numbers before text, as MongoDB has it."""
    given = dict(_signed(sort)) if isinstance(sort, str) else dict(sort or {})
    found = list(documents)
    for name, direction in reversed(given.items()):
        found.sort(key=partial(_rank, name), reverse=direction in {-1, "-1", "desc", "descending"})
    return found


def selected(document: Document, select: Any) -> Document:
    """The fields asked for (`"name date_utc"`, `{"name": 1}`), or all but those refused (`"-links"`); `id` always."""
    if isinstance(select, Sequence) and not isinstance(select, str):
        select = " ".join(select)
    given = dict(_signed(select)) if isinstance(select, str) else dict(select or {})
    kept = {name.split(".")[0] for name, wanted in given.items() if wanted not in {0, -1}}
    left = {name for name, wanted in given.items() if wanted in {0, -1}}
    return {
        name: value for name, value in document.items() if name == "id" or (name in kept if kept else name not in left)
    }


def _signed(text: str) -> Iterator[tuple[str, int]]:
    for word in text.split():
        yield word.lstrip("+-"), -1 if word.startswith("-") else 1


def _count(given: Any, name: str) -> int:
    try:
        return max(int(given), 0)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` is a number, not {given!r}") from None


def _bracket(value: Any) -> int:
    """Values of one kind can be compared; those of different ones never match. In MongoDB's order, null first."""
    if isinstance(value, bool):
        return 3
    return 1 if isinstance(value, int | float) else 2 if isinstance(value, str) else 0


def _rank(name: str, document: Document) -> tuple[int, Any]:
    value = next(_values(document, name.split(".")), None)
    bracket = _bracket(value)
    return bracket, value if bracket else 0


def _values(found: Any, path: Sequence[str]) -> Iterator[Any]:
    """What stands at the path; of a list, each element's, and the list itself."""
    if not path:
        yield found
        if isinstance(found, list):
            yield from found
    elif isinstance(found, list):
        for one in found:
            yield from _values(one, path)
    elif isinstance(found, dict) and path[0] in found:
        yield from _values(found[path[0]], path[1:])


def _holds(document: Document, name: str, condition: Any) -> bool:
    values = list(_values(document, name.split(".")))
    if isinstance(condition, dict) and any(key.startswith("$") for key in condition):
        return all(_asked(values, operator, operand) for operator, operand in condition.items())
    return _equal(values, condition)


def _equal(values: Sequence[Any], wanted: Any) -> bool:
    """Null is also what is not there."""
    if wanted is None and not values:
        return True
    return any(value == wanted and isinstance(value, bool) == isinstance(wanted, bool) for value in values)


def _asked(values: Sequence[Any], operator: str, operand: Any) -> bool:
    if operator not in OPERATORS:
        raise ValueError(f"unknown operator: {operator}")
    return OPERATORS[operator](values, operand)


def _compared(compare: Callable[[Any, Any], bool], values: Sequence[Any], bound: Any) -> bool:
    return any(_bracket(value) == _bracket(bound) != 0 and compare(value, bound) for value in values)


OPERATORS: Mapping[str, Callable[[Sequence[Any], Any], bool]] = {
    "$gt": partial(_compared, gt),
    "$gte": partial(_compared, ge),
    "$lt": partial(_compared, lt),
    "$lte": partial(_compared, le),
    "$eq": _equal,
    "$ne": lambda values, operand: not _equal(values, operand),
    "$in": lambda values, operand: any(_equal(values, one) for one in operand),
    "$nin": lambda values, operand: not any(_equal(values, one) for one in operand),
    "$exists": lambda values, operand: bool(values) == bool(operand),
    "$regex": lambda values, operand: any(isinstance(one, str) and re.search(operand, one) for one in values),
    "$not": lambda values, operand: not all(_asked(values, name, given) for name, given in operand.items()),
}
"""What can be asked of a field; of a list, it holds where it holds of one element."""
