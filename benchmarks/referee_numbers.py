"""Printed numbers against independent code: scikit-survival, scikit-learn, statsmodels, or a
likelihood integrated numerically, which share no code with what is compared.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import statsmodels.api as sm
from referee_effects import draw_trial
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, logit
from sections import Section
from sklearn import metrics as sklearn_metrics
from sksurv import metrics as sksurv_metrics
from sksurv.compare import compare_survival
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from research.evaluation.holm import adjust_holm
from research.evaluation.intervals import wilson_interval
from research.evaluation.metrics import score_rows
from research.evaluation.survival_metrics import resample_curves
from research.models.clv import beta_geo, gamma_gamma, pareto_nbd
from research.survival.cox import fit_cox, log_rank_test, tabulate_hazard_ratios
from research.survival.cumulative_incidence import compute_cumulative_incidence
from research.survival.kaplan_meier import (
    compute_median,
    compute_restricted_mean,
    fit_kaplan_meier,
)
from research.uplift.average_effects import DIFFERENCE_OF_MEANS, score_outcome, tabulate_effects

ALIKE = 1e-6  # relative difference of equal numbers: both are computed, some by iteration
DAY, UNTIL = 60.0, 150.0
DAYS = np.array([30.0, 60.0, 90.0, 120.0])
HISTORY = (3.0, 40.0, 70.0)  # repeat purchases, recency and age, in weeks
SEED, SIZE = 0, 400
NODES = 400
Density = Callable[[np.ndarray, np.ndarray], np.ndarray]
Compared = tuple[str, float, str, float]  # what, the package's number, whose code, its number


@cache
def draw_tenures() -> pd.DataFrame:
    """Return tenures in whole days with ties, censoring, two reasons, a group and a number."""
    rng = np.random.default_rng(SEED)
    group, number = rng.integers(0, 2, SIZE), rng.normal(size=SIZE)
    lasts = np.ceil(rng.exponential(80 / np.exp(0.5 * group + 0.3 * number)))
    censored = rng.integers(20, 300, SIZE)
    return pd.DataFrame(
        {
            "entry": 0.0,
            "duration": np.minimum(lasts, censored),
            "ended": lasts <= censored,
            "reason": np.where(rng.random(SIZE) < 0.4, "price", "moved"),
            "group": group,
            "number": number,
        }
    )


@cache
def draw_risks() -> tuple[np.ndarray, np.ndarray]:
    """Return outcomes, and probabilities that are too extreme."""
    rng = np.random.default_rng(SEED + 1)
    score = rng.normal(size=SIZE)
    return rng.random(SIZE) < expit(score - 1), expit(1.5 * score - 1.2)


def _outcome() -> np.ndarray:
    tenures = draw_tenures()
    return np.array(
        [*zip(tenures.ended, tenures.duration, strict=True)],
        dtype=[("event", bool), ("days", float)],
    )


def compare_curves() -> list[Compared]:
    """Compare Kaplan-Meier, its median and area, competing reasons and the log-rank test."""
    tenures, outcome = draw_tenures(), _outcome()
    curve = fit_kaplan_meier(tenures.assign(rows=1))
    days, survival, bounds = kaplan_meier_estimator(
        outcome["event"], outcome["days"], conf_type="log-log"
    )
    place = np.searchsorted(days, DAY, side="right") - 1
    low = curve.confidence_interval_survival_function_.iloc[:, 0]
    median = sm.SurvfuncRight(tenures.duration, tenures.ended).quantile(0.5)
    inside = days < UNTIL
    steps, level = np.r_[0, days[inside], UNTIL], np.r_[1, survival[inside]]
    shares = compute_cumulative_incidence(tenures)
    share = shares[(shares.reason == "price") & (shares.days <= DAY)].share.iloc[-1]
    causes = np.where(tenures.ended, np.where(tenures.reason == "price", 1, 2), 0)
    ends, incidence = cumulative_incidence_competing_risks(causes, outcome["days"])
    chi2, _, p = log_rank_test(tenures, tenures.group)
    theirs, their_p = compare_survival(outcome, tenures.group)
    return [
        ("survival after 60 days", curve.predict(DAY), "scikit-survival", survival[place]),
        ("its lower bound", low[low.index <= DAY].iloc[-1], "scikit-survival", bounds[0][place]),
        ("median survival", compute_median(curve)["value"], "statsmodels", median),
        (
            "restricted mean, 150 days",
            compute_restricted_mean(curve, UNTIL)["value"],
            "area below the curve of scikit-survival",
            float(level @ np.diff(steps)),
        ),
        (
            "share that left for one of two reasons",
            share,
            "scikit-survival",
            incidence[1][np.searchsorted(ends, DAY, side="right") - 1],
        ),
        ("log-rank chi-square", chi2, "scikit-survival", theirs),
        ("its p-value", p, "scikit-survival", their_p),
    ]


def compare_cox() -> list[Compared]:
    """Compare a hazard ratio with its interval."""
    tenures = draw_tenures()
    columns = tenures[["group", "number"]].astype(float)
    row = tabulate_hazard_ratios(fit_cox(tenures, columns)).iloc[0]
    fit = sm.PHReg(tenures.duration, columns, tenures.ended.astype(int), ties="efron").fit()
    low = float(np.exp(fit.conf_int()[0][0]))
    return [
        ("hazard ratio", row.hazard_ratio, "statsmodels", float(np.exp(fit.params[0]))),
        ("its lower bound", row.low, "statsmodels", low),
    ]


def compare_scores() -> list[Compared]:
    """Compare scores of probabilities."""
    churned, p = draw_risks()
    own = {name: float(values[0]) for name, values in _score(churned, p).items()}
    design = sm.add_constant(logit(p))
    slope = sm.Logit(churned.astype(float), design).fit(disp=0, tol=1e-12).params[1]
    binomial = sm.families.Binomial()
    offset = sm.GLM(churned.astype(float), np.ones(SIZE), binomial, offset=logit(p)).fit(tol=1e-12)
    return [
        ("AUC", own["auc"], "scikit-learn", sklearn_metrics.roc_auc_score(churned, p)),
        (
            "average precision",
            own["average_precision"],
            "scikit-learn",
            sklearn_metrics.average_precision_score(churned, p),
        ),
        ("log-loss", own["log_loss"], "scikit-learn", sklearn_metrics.log_loss(churned, p)),
        ("Brier score", own["brier"], "scikit-learn", sklearn_metrics.brier_score_loss(churned, p)),
        ("calibration slope", own["calibration_slope"], "statsmodels", float(slope)),
        (
            "calibration intercept",
            own["calibration_intercept"],
            "statsmodels",
            float(offset.params[0]),
        ),
    ]


def _score(churned: np.ndarray, p: np.ndarray) -> dict[str, np.ndarray]:
    return score_rows(churned, p, np.ones((1, len(p))))


def compare_survival_scores() -> list[Compared]:
    """Compare scores of survival curves under censoring."""
    tenures, outcome = draw_tenures(), _outcome()
    hazard = np.exp(0.4 * tenures.group + 0.2 * tenures.number).to_numpy() / 90
    curve = np.exp(-hazard[:, None] * DAYS)
    own = resample_curves(
        outcome, outcome, {"model": curve}, DAYS, np.arange(SIZE), 0, SEED, whole_days=False
    )["model"]
    risk = 1 - curve[:, -1]
    uno = sksurv_metrics.concordance_index_ipcw(outcome, outcome, risk, tau=DAYS[-1])[0]
    harrell = sksurv_metrics.concordance_index_censored(outcome["event"], outcome["days"], risk)[0]
    area = sksurv_metrics.cumulative_dynamic_auc(outcome, outcome, 1 - curve, DAYS)[0]
    brier = sksurv_metrics.integrated_brier_score(outcome, outcome, curve, DAYS)
    return [
        ("C of Uno", own["uno_c", np.nan][0], "scikit-survival", uno),
        ("C of Harrell", own["harrell_c", np.nan][0], "scikit-survival", harrell),
        ("dynamic AUC, 60 days", own["dynamic_auc", DAY][0], "scikit-survival", area[1]),
        ("integrated Brier score", own["integrated_brier", np.nan][0], "scikit-survival", brier),
    ]


def compare_inference() -> list[Compared]:
    """Compare intervals of shares and effects, and adjusted p-values."""
    p = [0.012, 0.04, 0.009, 0.3]
    trial = draw_trial(SIZE, SEED, lambda x: 0.1 + 0 * x)
    table = tabulate_effects(trial, [score_outcome(trial, "kept", SEED)]).set_index("method")
    treated = sm.add_constant((trial.rows.arm != "control").astype(float))
    fit = sm.OLS(trial.rows.kept, treated).fit(cov_type="HC0")
    theirs = proportion_confint(37, SIZE, method="wilson")[0]
    return [
        (
            "lower bound of a share",
            float(wilson_interval(37 / SIZE, SIZE)[0]),
            "statsmodels",
            theirs,
        ),
        (
            "p-value after Holm",
            adjust_holm(p)[1],
            "statsmodels",
            multipletests(p, method="holm")[1][1],
        ),
        (
            "lower bound of a difference of means",
            table.low[DIFFERENCE_OF_MEANS],
            "statsmodels, HC0",
            fit.conf_int().iloc[1, 0],
        ),
    ]


def compare_likelihoods() -> list[Compared]:
    """Compare likelihoods of one customer with the integral over what differs between customers."""
    repeats, recency, age = (np.array([value]) for value in HISTORY)
    beta, pareto, spend = (
        (0.243, 4.414, 0.793, 2.426),
        (0.553, 10.578, 0.606, 11.669),
        (6.25, 3.74, 15.44),
    )
    own = beta_geo.evaluate_history(np.array(beta), repeats, recency, age)[0][0]
    other = pareto_nbd.evaluate_history(np.array(pareto), repeats, recency, age)[0][0]
    amount = gamma_gamma.log_likelihood(np.array(spend), repeats, np.array([35.0]), np.zeros(1))[0]
    return [
        ("log-likelihood of BG/NBD", own, "numerical integral", integrate_beta_geo(*beta)),
        ("log-likelihood of Pareto/NBD", other, "numerical integral", integrate_pareto(*pareto)),
        ("log-likelihood of Gamma-Gamma", amount, "numerical integral", integrate_spend(*spend)),
    ]


def integrate_beta_geo(r: float, alpha: float, a: float, b: float) -> float:
    """Return the log-likelihood of ``HISTORY``: a rate by gamma, a chance to drop out by beta.

    Purchases come at the rate; after each, the customer drops out with the chance.
    """
    x, last, age = HISTORY

    def density(rate: np.ndarray, chance: np.ndarray) -> np.ndarray:
        stays = (1 - chance) ** x * rate**x * np.exp(-rate * age)
        left = chance * (1 - chance) ** (x - 1) * rate**x * np.exp(-rate * last)
        return (
            (stays + left)
            * stats.gamma.pdf(rate, r, scale=1 / alpha)
            * stats.beta.pdf(chance, a, b)
        )

    return _log_integral(density, 1.0)


def integrate_pareto(r: float, alpha: float, s: float, beta: float) -> float:
    """Return the log-likelihood of ``HISTORY``: rates of buying and of dropping out by gamma."""
    x, last, age = HISTORY

    def density(rate: np.ndarray, death: np.ndarray) -> np.ndarray:
        both = rate + death
        kept = rate**x * (death / both * np.exp(-both * last) + rate / both * np.exp(-both * age))
        spread = stats.gamma.pdf(rate, r, scale=1 / alpha)
        return kept * spread * stats.gamma.pdf(death, s, scale=1 / beta)

    return _log_integral(density, 3.0)


def _log_integral(density: Density, most: float) -> float:
    """Return the logarithm of an integral over a rate up to 3 and another up to ``most``.

    By Gauss-Legendre in the fourth roots, since gamma and beta densities may be singular at 0.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    rate, other = ((nodes + 1) / 2 * end**0.25 for end in (3.0, most))
    terms = 16 * rate[:, None] ** 3 * other**3 * density(rate[:, None] ** 4, other**4)
    area = (3.0 * most) ** 0.25 / 4
    return float(np.log(area * (weights @ terms @ weights)))


def integrate_spend(p: float, q: float, v: float) -> float:
    """Return the log-likelihood of a mean amount of 35: a gamma whose scale differs by gamma."""
    x = HISTORY[0]

    def density(rate: float) -> float:
        return stats.gamma.pdf(35.0, p * x, scale=1 / (rate * x)) * stats.gamma.pdf(
            rate, q, scale=1 / v
        )

    return float(np.log(quad(density, 0, 10, epsabs=0, epsrel=1e-10, limit=200)[0]))


def compare_numbers() -> list[Compared]:
    """Return all numbers."""
    groups = (
        compare_curves,
        compare_cox,
        compare_scores,
        compare_survival_scores,
        compare_inference,
        compare_likelihoods,
    )
    return [row for group in groups for row in group()]


def numbers_section() -> Section:
    """Return the table of the package's numbers beside those of independent code."""
    rows, equal = [], 0
    for what, own, whose, theirs in compare_numbers():
        apart = abs(own - theirs) / max(abs(theirs), 1e-300)
        equal += apart <= ALIKE
        numbers = (f"{value:.8g}".replace("-", "−") for value in (own, theirs))
        verdict = "equal" if apart <= ALIKE else "**differs**"
        rows.append((what, *numbers, whose, f"{apart:.0e}".replace("-", "−"), verdict))
    words = (
        f"Numbers of the reports on {SIZE} drawn customers (seed {SEED}), computed by the package"
        " and by code that shares nothing with it. Equal: apart by at most a millionth."
    )
    head = ("number", "package", "independent", "whose", "apart, relative", "")
    return Section(
        "Printed numbers against independent code",
        words,
        head,
        tuple(rows),
        (f"{equal} of {len(rows)} are equal.",),
    )
