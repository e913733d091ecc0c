"""Sweeps: many trials of one experiment file with a section `sweep`, run by Ray Tune."""
