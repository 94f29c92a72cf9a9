"""A few classifiers of every family, quick enough for many tests."""

from dataclasses import replace

from research.models.registry import Model, list_baselines, list_logistic, list_trees

SLOW = ("elastic net", "logistic with pairs", "histogram boosting")


def few_models(rule_column: str | None, seed: int, trees: int | None = 25) -> dict[str, Model]:
    """Return baselines, a rule where a column is given, the logistic regression and three kinds of
    trees: so many, or as many as the notebooks have.
    """
    rules = {rule_column: rule_column.replace("_", " ")} if rule_column else {}
    models = list_baselines(rules, seed) | list_logistic(seed) | list_trees(seed, {})
    kept = {name: model for name, model in models.items() if name not in SLOW}
    return {name: _shrink(model, trees) if trees else model for name, model in kept.items()}


def _shrink(model: Model, trees: int) -> Model:
    given = [name for name in model.estimator.get_params() if name.endswith("n_estimators")]
    return replace(model, estimator=model.estimator.set_params(**dict.fromkeys(given, trees)))
