"""One file, one algorithm; the file name is its name in the YAML."""
