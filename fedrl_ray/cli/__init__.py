"""The command line: one file per command, and the progress bars of training."""
