"""Networks of all agents stacked: layout, torch path, compiled kernels and Adam."""
