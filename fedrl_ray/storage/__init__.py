"""Where results lie: folders and URIs, checkpoints, agent shards, digests and locks."""
