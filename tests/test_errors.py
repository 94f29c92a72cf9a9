"""Faults as sentences: what a key or value should have been, and where a mistyped key belongs."""

import pickle
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from research.errors import StudyError, UsageError, describe_faults, shorten, suggest_key
from research.study import Study

OPTION_OR_KEY = (
    "; put it under 'options', remove it or use one of file, url, sha256, options, sheet, object"
)


class Part(BaseModel):
    """A part that refuses unknown keys, as those of study.yml do."""

    model_config = ConfigDict(extra="forbid")


class Wheel(Part):
    """A part of the parts below."""

    diameter: Annotated[int, Field(ge=1)] = 20


class Car(Part):
    """A part with a list of parts, and one that may be missing."""

    wheels: list[Wheel] = []
    spare: Wheel | None = None
    pair: tuple[Wheel, ...] = ()
    colour: str = "blue"


class Boat(Part):
    """The other kind of a part that may be of two kinds."""

    sails: int = 1


class Garage(Part):
    """The whole, with a part of either kind under a key, and more under names of the user's."""

    best: Car | Boat | None = None
    others: dict[str, Annotated[Car, "a note"]] = {}
    door: str = "shut"
    opened: date | None = None


def faults_of(model: type[BaseModel], content: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return describe_faults("garage.yml", model, caught.value)


def test_faults_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(UsageError("first", "second")))
    assert (type(error), error.faults, str(error)) == (
        UsageError,
        ("first", "second"),
        "first\nsecond",
    )


def test_wrong_usage_is_a_fault_of_the_study_too():
    with pytest.raises(StudyError):
        raise UsageError("x")


def test_a_long_value_is_cut_and_a_day_is_shown_as_a_day():
    assert shorten("x" * 100) == "'" + "x" * 58 + "…"
    assert shorten(date(2025, 6, 30)) == "2025-06-30"


@pytest.mark.parametrize(
    ("content", "place", "advice"),
    [
        ({"dor": "x"}, "dor", "; did you mean 'door'?"),
        ({"others": {"mine": {"color": "red"}}}, "others.mine.color", "; did you mean 'colour'?"),
        (
            {"others": {"mine": {"spare": {"diametre": 3}}}},
            "others.mine.spare.diametre",
            "; did you mean 'diameter'?",
        ),
        (
            {"others": {"mine": {"wheels": [{}, {"diametre": 3}]}}},
            "others.mine.wheels.1.diametre",
            "; did you mean 'diameter'?",
        ),
        (
            {"others": {"mine": {"pair": [{"diam": 3}]}}},
            "others.mine.pair.0.diam",
            "; did you mean 'diameter'?",
        ),
        (
            {"others": {"mine": {"door": "open"}}},
            "others.mine.door",
            ", which belongs at the top level; move it there or remove it",
        ),
        (
            {"others": {"mine": {"sail": 2}}},
            "others.mine.sail",
            "; did you mean 'sails' under 'best'?",
        ),
        (
            {"diameter": 3},
            "diameter",
            ", which belongs under 'best.wheels.<name>' or 'best.spare' or 'best.pair.<name>' or"
            " 'others.<name>.wheels.<name>' or 'others.<name>.spare' or"
            " 'others.<name>.pair.<name>'; move it to one of them or remove it",
        ),
        (
            {"zzz": 3},
            "zzz",
            "; remove it or use one of best, others, door, opened",
        ),
    ],
)
def test_a_suggestion_looks_at_the_part_that_the_key_stands_in(content, place, advice):
    (fault,) = faults_of(Garage, content)
    key = place.split(".")[-1]
    assert fault == f"garage.yml, key {place}: expected a known key, got '{key}'{advice}"


def test_each_alternative_of_a_part_suggests_its_own_keys():
    faults = faults_of(Garage, {"best": {"sail": 1, "colr": "red"}})
    of_car = [fault for fault in faults if "Car" in fault.split(":")[0]]
    of_boat = [fault for fault in faults if "Boat" in fault.split(":")[0]]
    assert ["did you mean 'colour'?" in fault for fault in of_car] == [False, True]
    assert ["did you mean 'sails'?" in fault for fault in of_boat] == [True, False]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"door": 3}, "key door: expected text, got 3; correct the value"),
        ({"opened": "soon"}, "key opened: expected a day such as 2025-06-30, got 'soon'"),
        ({"others": []}, "key others: expected keys with values, got []; correct the value"),
        (
            {"others": {"mine": {"spare": {"diameter": 0}}}},
            "key others.mine.spare.diameter: expected at least 1, got 0; correct the value",
        ),
        (
            {"others": {"mine": {"wheels": 4}}},
            "key others.mine.wheels: expected a list, got 4; correct the value",
        ),
        ({3: "x"}, "key 3: expected a key that is text, got 3; correct the key"),
    ],
)
def test_a_wrong_value_is_told_what_would_be_right(content, sentence):
    (fault,) = faults_of(Garage, content)
    assert fault.startswith(f"garage.yml, {sentence}")


def test_a_mistyped_key_is_not_called_missing_too():
    class Lock(Part):
        number: int
        maker: str

    class Locked(Part):
        lock: Lock

    faults = faults_of(Locked, {"lock": {"numbr": 3}})
    assert faults == [
        "garage.yml, key lock.maker: expected this key, but it is missing; add it",
        "garage.yml, key lock.numbr: expected a known key, got 'numbr'; did you mean 'number'?",
    ]


def test_a_fault_of_a_key_says_to_correct_the_key_and_no_value_is_nothing():
    class Named(Part):
        sizes: dict[Literal["small", "large"], int] = {}
        parts: Annotated[list[str], Field(min_length=1, max_length=2)] = ["x"]
        words: Annotated[str, Field(min_length=1)] = "x"

    content = {"sizes": {"middle": 1}, "parts": [], "words": ""}
    assert faults_of(Named, content) == [
        "garage.yml, key sizes.middle: expected 'small' or 'large', got 'middle'; correct the key",
        "garage.yml, key parts: expected at least 1 entry, got []; correct the value",
        "garage.yml, key words: expected a text, got an empty one; correct the value",
    ]
    assert faults_of(Named, {"sizes": None, "parts": ["a", "b", "c"]}) == [
        "garage.yml, key sizes: expected keys with values, got nothing; correct the value",
        "garage.yml, key parts: expected at most 2 entries, got ['a', 'b', 'c']; correct the value",
    ]


def test_a_requirement_without_words_of_ours_keeps_those_of_the_validator():
    class Few(Part):
        tags: Annotated[set[str], Field(min_length=1)] = {"a"}

    (fault,) = faults_of(Few, {"tags": 3})
    assert fault == "garage.yml, key tags: expected a valid set, got 3; correct the value"


@pytest.mark.parametrize(
    ("loc", "advice"),
    [
        (("titel",), "; did you mean 'title'?"),
        (("sources", "raw_x", "fil"), "; did you mean 'file'?"),
        (("engine", "memory"), "; did you mean 'memory_gb'?"),
        (("simulate", "month"), "; did you mean 'months'?"),
        (("churn", "horizon_day"), "; did you mean 'horizon_days'?"),
        (("snapshots", "every_day"), "; did you mean 'every_days'?"),
        (("features", "window"), "; did you mean 'windows'?"),
        (("leaks", "dropp"), "; did you mean 'drop'?"),
        (("lifecycle", "segment"), "; did you mean 'segments'?"),
        (("experiment", "outcome"), "; did you mean 'outcomes'?"),
        (("economics", "discount"), "; did you mean 'discount_rate'?"),
        (("economics", "arms", "mail", "offer_costs"), "; did you mean 'offer_cost'?"),
        (("horizon_days",), ", which belongs under 'churn'; move it there or remove it"),
        (
            ("lifecycle", "horizon_days"),
            ", which belongs under 'churn'; move it there or remove it",
        ),
        (("engine", "file"), ", which belongs under 'sources.<name>'; move it there or remove it"),
        (("sources", "raw_x", "path"), OPTION_OR_KEY),
        (("sources", "raw_x", "delim"), OPTION_OR_KEY),
        (
            ("sources", "raw_x", "kind"),
            ", which belongs at the top level or under 'engine'; move it to one of them or remove"
            " it",
        ),
        (("churn", "sensitive"), ", which belongs at the top level; move it there or remove it"),
        (
            ("leaks", "last"),
            ", which belongs under 'snapshots' or 'lifecycle'; move it to one of them or remove it",
        ),
        (
            ("features", "kind"),
            ", which belongs at the top level or under 'engine'; move it to one of them or remove"
            " it",
        ),
        (
            ("churn", "xyzzy"),
            "; remove it or use one of horizon_days, horizon, lead_days, grace_days, ends,"
            " active_days, inactive_days",
        ),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_every_part_of_study_yml_has_its_suggestions(loc, advice):
    assert suggest_key(Study, loc) == advice
