"""Operators to judge, as ``--implementation=conformance.implementations.operator.<module>:<name>``."""
