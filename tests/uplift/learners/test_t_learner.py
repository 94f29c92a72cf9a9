"""The T-learner is the difference of the arms' models."""

from trial_maker import make_part

from research.uplift.learners.t_learner import fit_t_learner


def test_without_features_the_t_learner_is_the_difference_of_means():
    # means 2 of control, 5 and 3 of the arms
    part = make_part([1.0, 3.0, 4.0, 6.0, 2.0, 4.0], [0, 0, 1, 1, 2, 2])
    assert fit_t_learner(part).tolist() == [[3.0, 1.0]] * part.new_size
