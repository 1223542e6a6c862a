"""Coverage-guided fuzzing of the parsers of untrusted input, with the oracles of the tests."""
