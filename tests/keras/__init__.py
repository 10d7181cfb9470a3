"""Tests of the Keras layer, its operator and the classifiers."""
