"""Operators to judge: ``--implementation=conformance.implementations.operator.MODULE:NAME``."""
