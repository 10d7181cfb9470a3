"""Programs that measure the judge and write tables for the docs; no tests."""
