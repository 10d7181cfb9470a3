"""Layers to judge, as ``--layer=conformance.implementations.layer.<module>:<name>``."""
