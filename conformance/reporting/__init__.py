"""What is said about a judgement: counted, reported, printed."""
