"""Robust federated reinforcement learning on Ray."""
