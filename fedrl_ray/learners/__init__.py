"""Learners that need Ray. They are found beside those of `algorithms.learners`."""
