"""Tests of this repository: the oracle against exact arithmetic, the suite against faults."""
