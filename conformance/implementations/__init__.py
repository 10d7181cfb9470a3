"""Adapters to what we judge ourselves; none shares code with the oracle, and each is optional.

Give one to the judge as ``--implementation=conformance.implementations.<module>:<attribute>``.
"""
