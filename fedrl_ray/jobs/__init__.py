"""Runs and sweeps as Ray jobs: submit, watch, stop and fetch them from any machine."""
