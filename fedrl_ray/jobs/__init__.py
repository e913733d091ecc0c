"""Runs and sweeps as Ray jobs: submitted, watched, stopped and fetched from anywhere."""
