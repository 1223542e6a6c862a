"""Commands for any SCIM server: a load of resources, and a check of its responses."""
