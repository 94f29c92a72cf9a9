"""Learners of effects: by how much each arm would raise each customer's outcome.

One file per learner, named as the field names it; ``registry`` lists them, ``average`` weighs them.
"""
