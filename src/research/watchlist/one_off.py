"""The list of a flat study: one snapshot without days, so without history, replay or deadline.

Everybody is scored by models that were fitted without them; those still there are listed.
"""

import numpy as np
import pandas as pd

from research.data.contracts import Tables
from research.features.build import describe_features, load_flat
from research.features.leakage.gate import check_panel
from research.panel.periods import MEAN_MONTH_DAYS
from research.risk.predict import predict
from research.store.keep import keep
from research.study import Study
from research.watchlist.backtest import mark_listed, score_lists
from research.watchlist.cycle import EARLIER, Cycle
from research.watchlist.fitted import fit_kept
from research.watchlist.forecast import REPLAYED
from research.watchlist.holdout import ASSIGNMENTS, Share
from research.watchlist.kept_model import KEPT, bin_tenths, list_categories
from research.watchlist.listing import Watchlist
from research.watchlist.lists import (
    LIST,
    Situation,
    add_actions,
    add_reasons,
    compare_lists,
    rank_customers,
)
from research.watchlist.model_choice import Choice, compare_candidates, list_candidates
from research.watchlist.model_store import KeptModel
from research.watchlist.reason_base import explain_listed, make_base
from research.watchlist.replay import BY_CHANCE, BY_LIST, BY_RULE, LEFT, Replay
from research.watchlist.scoring import find_ranges
from research.watchlist.verdict import Backtest, name_quality

USUAL = "gradient boosting"  # unless study.yml names another model
NO_LEAD = {"left": 0, "listed": 0, "in_time": 0}


def list_once(tables: Tables, study: Study, folds: int, resamples: int, seed: int) -> Cycle:
    """Return the list of a flat study, and how lists like it do out of fold.

    Parameters
    ----------
    folds : parts of the customers, each scored by models that were fitted without it
    resamples : of customers, behind every interval
    """
    kept, rule, rows = score_out_of_fold(tables, study, folds, seed)
    replay = Replay(
        rows[["snapshot", "customer_id", "risk", "value", *LEFT, BY_LIST, BY_RULE, BY_CHANCE]],
        rows[["snapshot", "customer_id"]],
        pd.DataFrame(columns=REPLAYED),
        rows[["snapshot", "customer_id"]],
        1.0,
    )
    backtest = _judge(replay, study, resamples, seed)
    by_rule = not backtest.passed
    model, risk = (rule, rows.rule_risk) if by_rule else (kept, rows.risk)
    watchlist = _list(model, rows.assign(risk=risk)[~rows.left], study, seed)
    return Cycle(None, kept, model, replay, backtest, None, watchlist, None, False, by_rule)


@keep
def score_out_of_fold(
    tables: Tables, study: Study, folds: int, seed: int
) -> tuple[KeptModel, KeptModel, pd.DataFrame]:
    """Return the model and the strongest rule, fitted on everybody, and risks out of fold.

    Returns
    -------
    KeptModel
        Of the classifier that is judged: that of study.yml, else gradient boosting.
    KeptModel
        Of the strongest rule.
    DataFrame
        One row per customer with the columns of ``Replay.rows``, rule_risk, worth_of_keeping and
        the features; risks are those of models fitted without the customer.
    """
    frame = load_flat(tables, study)
    allowed = check_panel(tables, study, frame).allowed
    dictionary = describe_features(tables, study)
    words = dictionary.set_index("feature").description.to_dict()
    named = study.model or USUAL
    models = list_candidates(study, allowed, words, seed, named)
    predicted = predict(frame, frame, allowed, models, folds, 1, seed)
    choice = compare_candidates(predicted, models, seed, named)
    both = []
    for name in (named, choice.rule):
        fitted = fit_kept(models[name], models, frame, allowed, seed)
        base = make_base(models[name], models, frame, fitted, dictionary, seed)
        card = _write_card(study, choice, name, models[name].words, frame)
        tenths = bin_tenths(predicted.assign(**{KEPT: predicted[name]}))
        card |= {"tenths": tenths, "features": _describe(dictionary, frame, fitted.features)}
        both.append(KeptModel(card, fitted, base))
    by_customer = predicted.set_index("customer_id")
    risks = (by_customer[name].reindex(frame.customer_id) for name in (named, choice.rule))
    return *both, _frame_rows(frame, study, *risks, seed)


def _write_card(study: Study, choice: Choice, named: str, words: str, frame: pd.DataFrame) -> dict:
    return {
        "id": "one-off",
        "study": study.name,
        "model": named,
        "words": words,
        "is_rule": named == choice.rule,
        "strongest_rule": choice.rule,
        "chosen": choice.reason,
        "train": {
            "snapshots": [],
            "rows": len(frame),
            "customers": int(frame.customer_id.nunique()),
            "churners": int(frame.churned.sum()),
            "churned_share": float(frame.churned.mean()),
        },
        "scores": [],
    }


def _describe(dictionary: pd.DataFrame, frame: pd.DataFrame, names: list[str]) -> list[dict]:
    numbers = {*frame[names].select_dtypes("number")}
    known = dictionary.set_index("feature").reindex(names).astype(object)
    known = known.where(known.notna(), None).to_dict("index")
    return [
        {
            "feature": name,
            **known[name],
            "kind": "number" if name in numbers else "text",
            "categories": [] if name in numbers else list_categories(frame[name]),
        }
        for name in names
    ]


def _frame_rows(
    frame: pd.DataFrame, study: Study, risk: pd.Series, rule_risk: pd.Series, seed: int
) -> pd.DataFrame:
    fee = study.economics.fee_column
    amount = frame[fee].to_numpy(float) if fee in frame else np.full(len(frame), np.nan)
    months = study.economics.value_days / MEAN_MONTH_DAYS
    worth = np.nan_to_num(amount, nan=1.0) * study.economics.fee_margin * months
    worth = worth if np.isfinite(amount).any() else np.ones(len(frame))
    own, ruled = risk.to_numpy(float), rule_risk.to_numpy(float)
    return frame.assign(
        snapshot=pd.Timestamp(0),
        risk=own,
        rule_risk=ruled,
        value=amount,
        worth_of_keeping=np.where(np.isfinite(amount), worth, np.nan),
        left=frame.churned.to_numpy(bool),
        left_in_lead=False,
        left_at=pd.NaT,
        **{
            BY_LIST: own * worth,
            BY_RULE: ruled * worth,
            BY_CHANCE: np.random.default_rng(seed).random(len(frame)),
        },
    )


def _judge(replay: Replay, study: Study, resamples: int, seed: int) -> Backtest:
    capacity = min(study.economics.capacity, len(replay.rows))
    scores, differences = score_lists(replay.rows, replay.rankings, capacity, resamples, seed)
    lead = pd.DataFrame([NO_LEAD])
    listed = mark_listed(replay.rows, [BY_LIST], capacity)[BY_LIST]
    none = pd.DataFrame()
    quality = name_quality(scores, differences, lead)
    missed = replay.rows[replay.rows.left & ~listed][["customer_id", "risk", "value"]]
    return Backtest(scores, differences, none, lead, none, missed, none, capacity, quality)


def _list(kept: KeptModel, present: pd.DataFrame, study: Study, seed: int) -> Watchlist:
    present = present.assign(value_at_risk=present.risk * present.worth_of_keeping)
    low, high = find_ranges(present.risk.to_numpy(float), kept.card["tenths"])
    ranked = rank_customers(present.assign(risk_low=low, risk_high=high), study.economics.capacity)
    reasons = explain_listed(
        kept.fitted, kept.base, ranked, pd.DataFrame(kept.card["features"]), seed
    )
    table = add_reasons(compare_lists(ranked, pd.DataFrame(columns=EARLIER)), reasons)
    table = add_actions(table, None, Situation(None, study.economics.capacity))
    rows = table.reindex(columns=[*LIST, "assigned_arm", "propensity"])
    gone = pd.DataFrame(columns=["customer_id", "earlier_rank", "still_customer"])
    return Watchlist(rows, reasons, gone, pd.DataFrame(columns=ASSIGNMENTS), Share(0.0), None)
