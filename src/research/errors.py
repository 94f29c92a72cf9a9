"""Faults that a user can correct, each one sentence, and how a file's faults become sentences."""

import difflib
import re
from collections.abc import Iterator
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


class StudyError(Exception):
    """Faults in a study or its data; ``faults`` has one sentence for each."""

    def __init__(self, *faults: str):
        self.faults = faults
        super().__init__("\n".join(faults))

    def __reduce__(self):
        return type(self), self.faults


class UsageError(StudyError):
    """A request that names something that doesn't exist; nothing was started."""


class NotApplicable(Exception):
    """A question that a study's tables can't answer; the batch reports it with its sentence."""


class WrongForm(ValueError):
    """A text of another form than expected, for validators; its message is that form in words."""


ANYTHING = "<name>"  # stands for a key that the user chooses
WHOLE, NUMBER, DAY = "a whole number", "a number", "a day such as 2025-06-30"
REQUIREMENTS = {
    "string_type": "text",
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "date_type": DAY,
    "date_parsing": DAY,
    "date_from_datetime_parsing": DAY,
    "date_from_datetime_inexact": DAY,
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "invalid_key": "a key that is text",
    "literal_error": "{expected}",
    "string_too_short": "a text",
    "too_short": "at least {min_length} entry",
    "too_long": "at most {max_length} entries",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}  # pydantic's types of errors in plain words
REQUIREMENTS_OF_DAYS = {
    "greater_than_equal": "{ge} or a later day",
    "less_than_equal": "{le} or an earlier day",
}
FREE_KEYS = "options"  # a key of a part under which any further keys may stand
SIMILAR_ELSEWHERE = 0.8  # how similar a key of another part must be to be suggested
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def shorten(value: Any, length: int = 60) -> str:
    """Return a value as a fault shows it."""
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def describe_faults(file: str, model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return one sentence for each fault that pydantic found in a file.

    Parameters
    ----------
    file : the file as the user knows it
    model : what the file was validated as; suggestions for a mistyped key come from it
    error : what pydantic raised

    Returns
    -------
    list of str
        Each with file and key, what was expected, the value found, and what to do. A key that is
        only mistyped is not called missing too.
    """
    faults = error.errors()
    mistyped = {
        (*fault["loc"][:-1], _find_similar(model, fault["loc"]))
        for fault in faults
        if fault["type"] == "extra_forbidden"
    }
    return [
        sentence
        for fault in faults
        if fault["type"] != "missing" or tuple(fault["loc"]) not in mistyped
        for sentence in _sentences(file, model, fault)
    ]


def _sentences(file: str, model: type[BaseModel], fault: Any) -> list[str]:
    keys = [str(step) for step in fault["loc"] if step != "[key]"]
    place = f"{file}, key {'.'.join(keys)}" if keys else file
    if fault["type"] == "extra_forbidden":
        advice = suggest_key(model, fault["loc"])
        return [f"{place}: expected a known key, got '{keys[-1]}'{advice}"]
    if fault["type"] == "missing":
        return [f"{place}: expected this key, but it is missing; add it"]
    if fault["type"] == "value_error" and not isinstance(fault["ctx"]["error"], WrongForm):
        return [f"{place}: {line}" for line in str(fault["ctx"]["error"]).split("\n")]
    of_key = fault["type"] == "invalid_key" or fault["loc"][-1:] == ("[key]",)
    wrong = "key" if of_key else "value"
    expected, found = _describe_requirement(fault), _describe_found(fault)
    return [f"{place}: expected {expected}, got {found}; correct the {wrong}"]


def _describe_found(fault: Any) -> str:
    if fault["type"] == "string_too_short":
        return "an empty one"
    return "nothing" if fault["input"] is None else shorten(fault["input"])


def _describe_requirement(fault: Any) -> str:
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    context = {
        name: f"{value:,.10g}" if isinstance(value, float) else value
        for name, value in fault.get("ctx", {}).items()
    }
    of_days = any(ISO_DAY.fullmatch(str(value)) for value in context.values())
    templates = REQUIREMENTS | REQUIREMENTS_OF_DAYS if of_days else REQUIREMENTS
    if fault["type"] in templates:
        return templates[fault["type"]].format(**context)
    return re.sub(r"^(Input|Value|String|Keys) should (be|have|match) ?", "", fault["msg"])


def suggest_key(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Return what to do about a key that its part of the model doesn't have.

    Parameters
    ----------
    model : the whole that was validated
    loc : the way to the key, as pydantic gives it; the last step is the key itself

    Returns
    -------
    str
        The part in which the key belongs; else the most similar key of the same part, then of
        another one; else all keys of the same part, and that under which any keys may stand.
    """
    *_, key = loc
    homes, known = _list_homes(model), _list_known(model, loc)
    if key in homes:
        goal = "there" if len(homes[key]) == 1 else "to one of them"
        return f", which belongs {_name_homes(homes[key])}; move it {goal} or remove it"
    if similar := _find_similar(model, loc):
        return f"; did you mean '{similar}'?"
    if close := difflib.get_close_matches(str(key), homes, n=1, cutoff=SIMILAR_ELSEWHERE):
        return f"; did you mean '{close[0]}' {_name_homes(homes[close[0]])}?"
    advice = f"put it under '{FREE_KEYS}', remove it" if FREE_KEYS in known else "remove it"
    return f"; {advice} or use one of {', '.join(known)}"


def _find_similar(model: type[BaseModel], loc: tuple[int | str, ...]) -> str | None:
    """Return the key of the same part that a mistyped key most likely stands for."""
    key = str(loc[-1])
    if key in _list_homes(model):
        return None
    return next(iter(difflib.get_close_matches(key, _list_known(model, loc), n=1)), None)


def _list_known(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the part that a key stands in."""
    parts = _find_parts(model, [*loc[:-1]])
    return [*dict.fromkeys(key for part in parts for key in part.model_fields)]


def _list_homes(model: type[BaseModel]) -> dict[str, list[str]]:
    """Return for every key of a model the parts that have it."""
    homes: dict[str, list[str]] = {}
    for name, part in _list_parts(model):
        for key in part.model_fields:
            homes.setdefault(key, []).append(name)
    return homes


def _name_homes(names: list[str]) -> str:
    """Return the parts as a sentence names them."""
    below = " or ".join(f"'{name}'" for name in names if name)
    places = ["at the top level"] if "" in names else []
    return " or ".join([*places, f"under {below}"] if below else places)


def _find_parts(model: type[BaseModel], way: list[int | str]) -> list[type[BaseModel]]:
    """Return the models that may stand where a way leads."""
    kinds: list[Any] = [model]
    for step in way:
        kinds = _follow(kinds, step)
    return [kind for kind in kinds if _is_model(kind)]


def _follow(kinds: list[Any], step: int | str) -> list[Any]:
    """Return the kinds one step further; a step that only names one of several kinds selects it."""
    named = [kind for kind in kinds if _is_model(kind) and kind.__name__ in str(step)]
    if len(kinds) > 1 and named:
        return named
    inner: list[Any] = []
    for kind in kinds:
        if _is_model(kind) and step in kind.model_fields:
            inner += _list_kinds(kind.model_fields[step].annotation)
        elif get_origin(kind) in (dict, list, tuple):
            inner += _list_items(kind)
    return inner or kinds


def _list_kinds(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation."""
    if get_origin(annotation) is Annotated:
        return _list_kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for each in get_args(annotation) for kind in _list_kinds(each)]
    return [annotation]


def _list_items(kind: Any) -> list[Any]:
    """Return what a dict, list or tuple is made of; of a dict the values."""
    items = get_args(kind)[1:] if get_origin(kind) is dict else get_args(kind)
    return [inner for item in items for inner in _list_kinds(item)]


def _list_parts(
    model: type[BaseModel], name: str = "", above: tuple = ()
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every part of a model with the keys that lead to it."""
    if model in above:
        return
    yield name, model
    for field, info in model.model_fields.items():
        for path, part in _list_inner_parts(f"{name}.{field}".lstrip("."), info.annotation):
            yield from _list_parts(part, path, (*above, model))


def _list_inner_parts(path: str, annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    for kind in _list_kinds(annotation):
        if _is_model(kind):
            yield path, kind
        elif get_origin(kind) in (dict, list, tuple):
            for item in _list_items(kind):
                yield from _list_inner_parts(f"{path}.{ANYTHING}", item)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
