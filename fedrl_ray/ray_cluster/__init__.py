"""The Ray cluster of a run: its address, its tokens, and the resources of its nodes."""
