"""Export of a run's global policy as an RLModule, a torch program or an ONNX file.

An export holds the greedy policy alone and a model card. It is checked at once to act as the
trained policy.
"""
