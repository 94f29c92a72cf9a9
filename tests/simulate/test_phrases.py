"""Texts and names in five languages."""

import hashlib

import pandas as pd

from research.simulate import phrases


def test_texts_and_names_are_those_that_the_figures_of_the_demo_were_measured_on():
    joined = "\n".join([*phrases.PIECES.to_pylist(), *phrases.FULL_NAMES.to_pylist()])
    digest = hashlib.sha256(joined.encode()).hexdigest()
    assert digest == "f2bcc52a50b6552858f817d590e735ce0062a4ac805a8c2a39ca6d11139bb26f"


def test_every_language_and_tone_has_the_same_number_of_phrases_and_at_least_twelve():
    assert {len(pieces) for pieces in phrases._PIECES} == {phrases.VARIETY}
    assert phrases.VARIETY >= 12
    assert len(phrases._PIECES) == 5 * 3


def test_texts_are_written_in_five_languages_and_by_some_in_two(company):
    written = company["feedback"].text.dropna()
    letters = {
        "Polish": "[ąćęłńóśźż]",
        "Russian": "[а-я]",
        "Korean": "[가-힣]",
        "Chinese": "[一-鿿]",
    }
    uses = pd.DataFrame({name: written.str.contains(pattern) for name, pattern in letters.items()})
    assert (uses.mean() > 0.05).all()
    assert (uses[["Russian", "Korean", "Chinese"]].sum(axis=1) > 1).any()
    assert written.nunique() > 0.6 * len(written)
