"""Judging whole layers: kernel generation and operator (specification chapter LAY)."""
