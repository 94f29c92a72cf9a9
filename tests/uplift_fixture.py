"""A small trial, and what other libraries say of its rankings: for tests of the package's own
scores, which import none of these libraries.

48 customers, 28 of them treated, in no order; ``ROWS`` holds treated, outcome and three scores. The
arms are unequal, so that the two kinds of Qini curve differ. By ``score``, without ties, one
treated and one control customer without outcome come first, so that all libraries draw the same
curve. ``tied`` puts six customers on each value. By ``lopsided``, two treated customers with
outcome come first: what a curve is while an arm is missing differs by library.

Measured with scikit-uplift 0.5.1, causalml 0.18.0 and pylift 0.1.5 (numpy 2.4.6, pandas 2.3.3,
scikit-learn 1.9.1), by the calls beside the numbers, where ``frame`` has the columns y (outcome), w
(treated) and model (a score), ``share`` is an array of 28/48, and ``auc`` is scikit-learn's.
causalml, pylift and, inside a tie, scikit-uplift's uplift_at_k rank as the rows happen to stand, so
they have no number for it. docs/uplift-scores.md says how the numbers are related.
"""

import pandas as pd

ROWS = pd.DataFrame(
    [
        (1, 1, 61, 5, 61),
        (1, 0, 95, 7, 95),
        (0, 0, 33, 2, 33),
        (1, 0, 67, 5, 67),
        (0, 1, 5, 0, 5),
        (0, 1, 39, 3, 39),
        (0, 0, 73, 6, 73),
        (0, 1, 11, 0, 11),
        (1, 0, 45, 3, 45),
        (1, 1, 79, 6, 79),
        (1, 0, 17, 1, 17),
        (0, 0, 51, 4, 51),
        (1, 0, 85, 7, 85),
        (0, 0, 23, 1, 23),
        (1, 0, 57, 4, 57),
        (0, 0, 91, 7, 91),
        (0, 0, 29, 2, 29),
        (1, 0, 63, 5, 63),
        (0, 1, 1, 0, 1),
        (1, 1, 35, 2, 35),
        (0, 0, 69, 5, 69),
        (1, 0, 7, 0, 7),
        (1, 0, 41, 3, 41),
        (1, 1, 75, 6, 75),
        (1, 0, 13, 1, 13),
        (1, 0, 47, 3, 47),
        (1, 1, 81, 6, 81),
        (0, 0, 19, 1, 19),
        (1, 0, 53, 4, 53),
        (0, 0, 87, 7, 87),
        (0, 0, 25, 2, 25),
        (1, 1, 59, 4, 59),
        (0, 0, 93, 7, 93),
        (1, 0, 31, 2, 31),
        (0, 0, 65, 5, 65),
        (1, 0, 3, 0, 3),
        (1, 0, 37, 3, 37),
        (1, 1, 71, 5, 71),
        (0, 1, 9, 0, 9),
        (0, 0, 43, 3, 43),
        (0, 0, 77, 6, 77),
        (0, 0, 15, 1, 15),
        (1, 1, 49, 4, 49),
        (1, 1, 83, 6, 283),
        (1, 0, 21, 1, 21),
        (1, 1, 55, 4, 55),
        (1, 1, 89, 7, 289),
        (1, 1, 27, 2, 27),
    ],
    columns=["treated", "outcome", "score", "tied", "lopsided"],
)

BY_SCORE = {  # of the ranking without ties
    "uplift_auc_score": 0.5363706221834593,  # sklift: uplift_auc_score(outcome, score, treated)
    "qini_auc_score": 0.5724127273307029,  # sklift: qini_auc_score(outcome, score, treated)
    # sklift: qini_auc_score(outcome, score, treated, negative_effect=False)
    "qini_auc_score_no_negative": 1.9515280424809547,
    # sklift: x, u = uplift_curve(outcome, score, treated); auc(x, u) - x[-1] * u[-1] / 2
    "uplift_area": 316.3054183390458,
    # sklift: x, g = qini_curve(outcome, score, treated); auc(x, g) - x[-1] * g[-1] / 2
    "qini_area": 209.78926456670263,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.25)
    "uplift_at_quarter": 0.7142857142857143,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.5)
    "uplift_at_half": 0.625,
    # sklift: uplift_at_k(outcome, score, treated, strategy="by_group", k=0.5)
    "uplift_at_half_by_group": 0.5428571428571429,
    "auuc_score": 1.2531081389024898,  # causalml: auuc_score(frame)["model"]
    "auuc_score_raw": 10.740926904878483,  # causalml: auuc_score(frame, normalize=False)["model"]
    "qini_score": 0.8562827125171537,  # causalml: qini_score(frame)["model"]
    "qini_score_raw": 4.281413562585768,  # causalml: qini_score(frame, normalize=False)["model"]
    "toc_at_quarter": 0.5357142857142858,  # causalml: get_toc(frame)["model"].iloc[12]
    "toc_at_half": 0.44642857142857145,  # causalml: get_toc(frame)["model"].iloc[24]
    "toc_mean": 0.29851700990414143,  # causalml: get_toc(frame)["model"].iloc[1:].mean()
    "rate_autoc": 0.13746407536310423,  # causalml: rate_score(frame)["model"]
    "rate_qini": 0.2747256855621677,  # causalml: rate_score(frame, weighting="qini")["model"]
    "Q_qini": 0.16108630952380956,  # pylift: get_scores(treated, outcome, score, share)["Q_qini"]
    "Q_aqini": 0.15609320280260613,  # pylift: get_scores(treated, outcome, score, share)["Q_aqini"]
    # pylift: get_scores(treated, outcome, score, share)["Q_cgains"]
    "Q_cgains": 0.13352376482439843,
}

BY_TIED = {  # of eight values, six customers each
    "uplift_auc_score": 0.5270243769754007,  # sklift: uplift_auc_score(outcome, score, treated)
    "qini_auc_score": 0.5583482002308741,  # sklift: qini_auc_score(outcome, score, treated)
    # sklift: qini_auc_score(outcome, score, treated, negative_effect=False)
    "qini_auc_score_no_negative": 1.9035778175313056,
    # sklift: x, u = uplift_curve(outcome, score, treated); auc(x, u) - x[-1] * u[-1] / 2
    "uplift_area": 310.79380402206493,
    # sklift: x, g = qini_curve(outcome, score, treated); auc(x, g) - x[-1] * g[-1] / 2
    "qini_area": 204.63461538461536,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.25)
    "uplift_at_quarter": 0.7142857142857143,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.5)
    "uplift_at_half": 0.625,
}

BY_LOPSIDED = {  # of the ranking that begins with one arm
    "uplift_auc_score": 0.5507843818733819,  # sklift: uplift_auc_score(outcome, score, treated)
    "qini_auc_score": 0.5942408310141954,  # sklift: qini_auc_score(outcome, score, treated)
    # sklift: qini_auc_score(outcome, score, treated, negative_effect=False)
    "qini_auc_score_no_negative": 2.0259466471321175,
    # sklift: x, u = uplift_curve(outcome, score, treated); auc(x, u) - x[-1] * u[-1] / 2
    "uplift_area": 324.8054183390458,
    # sklift: x, g = qini_curve(outcome, score, treated); auc(x, g) - x[-1] * g[-1] / 2
    "qini_area": 217.78926456670263,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.25)
    "uplift_at_quarter": 0.7142857142857143,
    # sklift: uplift_at_k(outcome, score, treated, strategy="overall", k=0.5)
    "uplift_at_half": 0.625,
    # sklift: uplift_at_k(outcome, score, treated, strategy="by_group", k=0.5)
    "uplift_at_half_by_group": 0.5428571428571429,
    "auuc_score": 1.266997027791379,  # causalml: auuc_score(frame)["model"]
    "auuc_score_raw": 10.859974523926104,  # causalml: auuc_score(frame, normalize=False)["model"]
    "qini_score": 0.8807725084355211,  # causalml: qini_score(frame)["model"]
    "qini_score_raw": 4.403862542177604,  # causalml: qini_score(frame, normalize=False)["model"]
    "toc_at_quarter": 0.5357142857142858,  # causalml: get_toc(frame)["model"].iloc[12]
    "toc_at_half": 0.44642857142857145,  # causalml: get_toc(frame)["model"].iloc[24]
    "toc_mean": 0.3198463749835065,  # causalml: get_toc(frame)["model"].iloc[1:].mean()
    "rate_autoc": 0.18689305673350826,  # causalml: rate_score(frame)["model"]
    "rate_qini": 0.27853892960978666,  # causalml: rate_score(frame, weighting="qini")["model"]
    "Q_qini": 0.16703869047619055,  # pylift: get_scores(treated, outcome, score, share)["Q_qini"]
    "Q_aqini": 0.16204558375498704,  # pylift: get_scores(treated, outcome, score, share)["Q_aqini"]
    # pylift: get_scores(treated, outcome, score, share)["Q_cgains"]
    "Q_cgains": 0.13676037196725555,
}
