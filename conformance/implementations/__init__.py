"""Adapters to what we judge ourselves; none shares code with the oracle, and each is optional."""
