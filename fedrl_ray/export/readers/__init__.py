"""Readers of policies of any origin: ONNX files, torch programs, RLModules, SB3 zips."""
