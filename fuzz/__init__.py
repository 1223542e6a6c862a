"""Coverage-guided fuzzing of whatever reads what a stranger sends, with the oracles of the tests attached."""
