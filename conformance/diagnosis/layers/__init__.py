"""Explains layers: a model of their steps, what may stand in the place of each, the search."""
