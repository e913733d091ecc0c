"""Reports: runs and sweeps read from their directories, as sections of figures and tables."""
