"""A run's global policy for other programs: an RLModule, a torch program, an ONNX file.

Each holds the greedy policy alone, is checked on the spot to act as the trained one, and comes
with a model card.
"""
