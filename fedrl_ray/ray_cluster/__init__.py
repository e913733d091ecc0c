"""Which Ray a run uses, who may join it, and what its nodes offer."""
