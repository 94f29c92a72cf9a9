"""Customer churn research: studies, snapshots, models and reports.

A notebook needs few names of this package, and finds them here; each is imported when it is asked
for, so that a command that needs no model stays light.

>>> import research as rs
>>> run = rs.open("demo")  # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["NotApplicable", "open", "save", "show", "show_scores", "text"]

_HOMES = {
    "NotApplicable": ("research.errors", "NotApplicable"),
    "open": ("research.notebook", "open_study"),
    "save": ("research.reporting.results", "save_table"),
    "show": ("research.reporting.tables", "show"),
    "show_scores": ("research.reporting.tables", "show_scores"),
    "text": ("research.reporting.results", "text"),
}


def __getattr__(name: str) -> Any:
    """Import one of the names that a notebook uses."""
    if name not in _HOMES:
        raise AttributeError(f"module 'research' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
