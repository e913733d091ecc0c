"""One file per fault; the name of the file is the name on the command line."""
