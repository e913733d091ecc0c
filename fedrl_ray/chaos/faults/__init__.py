"""Faults, one per file. The name of the file is the name on the command line."""
