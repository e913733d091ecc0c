"""Errors that a user can cause. The command line prints them as one line and exits with 2."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was asked for; the message names the key, the rule and the value."""


class RunError(Exception):
    """A run that cannot go on, through no mistake in what was asked for."""
