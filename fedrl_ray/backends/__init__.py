"""Backends: workers in this process or as Ray actors, and the resources that they need."""
