"""An invoice service that trusts one tenant's issuer, and decides with Cedar."""
