"""Services downstream of an issuer, to read and to run."""
