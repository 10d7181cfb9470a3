"""Tests of the truth: the oracle and the reference layer."""
