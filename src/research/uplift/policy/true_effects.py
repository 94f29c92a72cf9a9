"""The true effects of the arms, which only a simulated company knows."""

import numpy as np
import pandas as pd

from research.evaluation.ground_truth import QUARTER_DAYS
from research.simulate import Company
from research.simulate.outlook import expect_effects
from research.store.keep import keep
from research.study import Study
from research.uplift.trials import Trial


@keep
def load_true_effects(trial: Trial, study: Study) -> np.ndarray | None:
    """Return the true effect of every arm on staying, (rows, arms without control), of a simulated
    company; None of others.

    It is that of the campaign's day, a mean over the futures that may follow, see
    ``research.simulate.outlook.expect_effects``. It spans three calendar months, so that only a
    horizon of about as many days has one.
    """
    shortest, longest = QUARTER_DAYS
    if (
        study.simulate is None
        or "assigned_at" not in trial.rows
        or not shortest <= study.churn.horizon_days <= longest
    ):
        return None
    effects = expect_effects(Company(**study.simulate.model_dump()), trial.names)
    wide = effects.pivot_table(index=["campaign", "customer_id"], columns="arm", values="effect")
    rows = pd.MultiIndex.from_frame(trial.rows[["trial", "customer_id"]])
    return -wide.reindex(rows)[trial.arms].to_numpy(float)
