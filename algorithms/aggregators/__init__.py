"""One file, one aggregation rule; the file name is its name in the YAML."""
