"""Experiment trackers, one per file. Their packages are imported when a run is opened."""
