"""Identity Foundation: the facts under authorization for AI agents. See ARCHITECTURE.md."""
