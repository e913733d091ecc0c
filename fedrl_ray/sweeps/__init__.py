"""Sweeps: one experiment file with a `sweep` section, many trials under Ray Tune."""
