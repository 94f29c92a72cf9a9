"""The transformed outcome has the effect as its mean."""

import pytest
from trial_maker import make_part

from research.uplift.learners.transformed_outcome import fit_transformed_outcome


def test_without_features_it_is_the_difference_of_weighted_means():
    # means 1 of control and 4 of the arm, each with half of the weight
    part = make_part([0.0, 2.0, 3.0, 5.0], [0, 0, 1, 1], propensity=[0.5] * 4)
    assert fit_transformed_outcome(part)[:, 0] == pytest.approx([3.0] * part.new_size)


def test_an_arm_with_few_customers_weighs_as_much_by_its_propensity():
    # the same means, three of four customers in control
    part = make_part([0.0, 1.0, 2.0, 4.0], [0, 0, 0, 1], propensity=[0.75] * 3 + [0.25])
    assert fit_transformed_outcome(part)[:, 0] == pytest.approx([3.0] * part.new_size)
