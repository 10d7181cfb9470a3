"""Tests of the house: its arrows, its documents, its pictures."""
