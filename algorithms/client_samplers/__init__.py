"""One client sampler per file."""
