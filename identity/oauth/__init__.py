"""The token service. Authlib runs the protocol's frame here and nowhere else; what is decided is in the actions."""
