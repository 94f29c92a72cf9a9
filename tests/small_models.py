"""A few candidates of every family, quick enough for many tests."""

from research.models.registry import Candidate, list_logistic, list_references, list_trees


def few_candidates(rule_column: str | None, seed: int) -> dict[str, Candidate]:
    """Return references, a rule where a column is given, the logistic regression and three kinds of
    trees.
    """
    rules = {rule_column: rule_column.replace("_", " ")} if rule_column else {}
    found = list_references(rules) | list_logistic() | list_trees(seed, {})
    return {
        name: candidate
        for name, candidate in found.items()
        if name not in ("elastic net", "logistic with pairs", "histogram boosting")
    }
