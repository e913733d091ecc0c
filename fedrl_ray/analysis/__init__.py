"""Statistics of returns over test environments and seeds, with intervals."""
