"""Figures that operators read from the inference table."""
