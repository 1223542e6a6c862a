"""The self-test of a SCIM server, ours or another one: the requests of a provisioning client, in its order."""
