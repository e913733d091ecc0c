"""What the `gymnasium` family needs to take in an environment that is not ours."""
