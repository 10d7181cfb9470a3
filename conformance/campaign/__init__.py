"""Campaigns: many cases, in numbered blocks, on one machine or on many.

A block is drawn from the seed and its number alone, and what came of blocks merges in any order.
Nothing is judged here in a way of its own: a block asks the judge, as a check of the suite does.
"""
