"""Commands that ask any SCIM server: a load of users, and a check of what it answers."""
