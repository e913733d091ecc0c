"""Policies of any origin on the test grid: ONNX files, torch programs, RLModules, SB3 zips."""
