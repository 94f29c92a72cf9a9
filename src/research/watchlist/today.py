"""Who is at risk as of the scored day: the one risk of that day, for every page that lists anybody.

It is that of ``research score``: by the kept model of the day, else by one that is trained as
``research train`` does. What judges models stays on windows that have closed; where nobody can be
scored, pages speak of the judged day, and say why.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from research.data.contracts import Tables
from research.errors import StudyError
from research.risk.window_risk import WindowRisk
from research.store.keep import keep
from research.study import Study
from research.watchlist.forecast import (
    REPLAYED,
    count_churners,
    find_window,
    load_segments,
    read_drift,
    replay_forecast,
    tabulate_forecast,
)
from research.watchlist.kept_model import train_model
from research.watchlist.model_store import KeptModel, find_kept, load_model, read_card
from research.watchlist.scored_day import find_scored_day
from research.watchlist.scoring import Scores, score_day

SEED = 0  # of the kept model, whatever a notebook's own is: one day has one risk
ONE_DAY = "The study has no dates: those judged and those listed are the same customers."


@dataclass(frozen=True)
class Today:
    """The risks of everybody who is a customer on the scored day.

    Attributes
    ----------
    judged : the judged day; None of a flat study
    scores : None where nobody could be scored
    risk : the same risks in the form in which values and lists take them; None without scores
    segments : of each scored customer, one column per attribute
    card : of the model that scored
    missing : why nobody was scored, one sentence; empty with scores
    """

    judged: date | None
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    risk: WindowRisk | None = None
    segments: pd.DataFrame = field(default_factory=pd.DataFrame)
    card: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    missing: str = ""

    @property
    def day(self) -> date | None:
        """Return the day of which lists and sums speak: the scored one, else the judged one."""
        return self.risk.snapshot if self.risk else self.judged

    @property
    def replay(self) -> pd.DataFrame:
        """Return forecasts of earlier windows beside what came, see ``replay_forecast``."""
        return pd.DataFrame(self.card.get("replay", []), columns=REPLAYED)

    def forecast(self, worth: pd.Series | None = None) -> pd.DataFrame:
        """Return how many leave by when, in all and by segment; see ``tabulate_forecast``.

        Parameters
        ----------
        worth : the value of keeping, by customer_id

        Returns
        -------
        DataFrame, without rows where nobody was scored
        """
        if self.risk is None:
            return pd.DataFrame()
        kept = KeptModel(self.card, None)
        window, money = (self.risk.snapshot, self.risk.closes), None
        if worth is not None:
            money = worth.reindex(self.rows.customer_id).to_numpy(float)
        how = (count_churners(kept), read_drift(kept), money)
        return tabulate_forecast(self.rows, self.segments, window, *how)


def score_today(tables: Tables, study: Study) -> Today:
    """Return the risks as of the scored day, see ``scored_day.find_scored_day``.

    By the newest kept model that may score the day, as ``research score`` takes it; without one, by
    a model that is trained on all windows closed by the day.
    """
    judged = study.snapshots.last if study.snapshots else None
    if study.kind == "flat":
        return Today(None, missing=ONE_DAY)
    try:
        day = find_scored_day(tables, study)
        if day <= judged:
            return Today(judged, missing=f"The scored day, {day}, isn't after the judged one.")
        folder, _ = find_kept(study, day)
        digest = read_card(folder)["sha256"] if folder else ""
        return _score(tables, study, day, folder, digest)
    except StudyError as error:
        return Today(judged, missing=f"No customer is scored as of today: {error}.")


def find_model(tables: Tables, study: Study, day: date) -> KeptModel:
    """Return the newest kept model that may score a day; without one, a model that is trained."""
    folder, _ = find_kept(study, day)
    return load_model(folder) if folder else train_once(tables, study, day, SEED)


@keep
def train_once(tables: Tables, study: Study, day: date, seed: int) -> KeptModel:
    """Train the model of a day, and replay its forecast on earlier windows.

    The same as ``research train`` keeps below models/; here the store keeps it.
    """
    kept = train_model(tables, study, day, seed)
    replayed = replay_forecast(tables, study, kept, day, seed)
    kept.card["replay"] = replayed.astype({"snapshot": str, "after": str, "until": str}).to_dict(
        "records"
    )
    return kept


@keep
def _score(tables: Tables, study: Study, day: date, folder: Path | None, digest: str) -> Today:
    """Score a day by the model of a folder, whose SHA-256 is ``digest``, or by one trained now."""
    model = load_model(folder) if folder else train_once(tables, study, day, SEED)
    scores = score_day(tables, study, model, day)
    return Today(
        study.snapshots.last,
        scores.rows,
        frame_risk(scores, study),
        load_segments(scores.outlook, scores.rows),
        model.card,
        tuple(scores.remarks),
    )


def frame_risk(scores: Scores, study: Study) -> WindowRisk:
    """Return the risks of a scored day as values and lists take them; who left isn't known."""
    unknown = {"left_in_lead": False, "churned": False}
    rows = scores.rows[["customer_id", "lead_risk", "risk"]].assign(**unknown)
    day, closes = find_window(scores)
    contractual = study.kind == "contractual"
    return WindowRisk(rows, day, scores.outlook.opens, closes, False, contractual)
