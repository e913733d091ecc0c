"""Environment families: one per file, and the file name is the family's name in the YAML."""
