"""A few classifiers of every family, quick enough for many tests."""

from research.models.registry import Model, list_baselines, list_logistic, list_trees

SLOW = ("elastic net", "logistic with pairs", "histogram boosting")


def few_models(rule_column: str | None, seed: int) -> dict[str, Model]:
    """Return baselines, a rule where a column is given, the logistic regression and three kinds of
    trees.
    """
    rules = {rule_column: rule_column.replace("_", " ")} if rule_column else {}
    models = list_baselines(rules, seed) | list_logistic(seed) | list_trees(seed, {})
    return {name: model for name, model in models.items() if name not in SLOW}
