"""The tabular problem of the paper: its sets and backups, and their exact fixed points."""
