"""Storage of results: folders and URIs, checkpoints, agent shards, digests and locks."""
