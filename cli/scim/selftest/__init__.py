"""A live self-test of a SCIM server, ours or anybody's: what a provisioning client needs, asked in its order."""
