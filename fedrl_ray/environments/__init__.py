"""One file, one environment family; the file name is its name in the YAML."""
