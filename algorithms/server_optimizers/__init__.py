"""One server optimizer per file."""
