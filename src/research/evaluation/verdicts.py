"""The verdicts on a difference, as result tables store them."""

BETTER, WORSE = "better", "worse"
NO_DIFFERENCE, UNDEFINED = "no significant difference", "not defined"
