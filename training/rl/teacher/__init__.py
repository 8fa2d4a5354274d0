"""Competing methods in which a teacher that sees the policy corrects each token of a student's response.

Start with `per_token`, the trainer, which has a diagram. `methods` has the settings, `model` is the teacher,
and `advantages` and `divergence` have the formulas.
"""
