"""Where workers live: in this process or as Ray actors, and what they need."""
