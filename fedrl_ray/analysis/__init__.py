"""Statistics of returns over test environments and seeds, with confidence intervals."""
