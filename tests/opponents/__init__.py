"""Implementations of other kinds, to hold the oracle and the judge against: right, wrong, exact."""
