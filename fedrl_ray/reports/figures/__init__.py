"""Figures of a report by theme: each file turns a study into sections."""
