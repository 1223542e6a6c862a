"""The load of a file of any length: each line becomes one operation of a Bulk request."""
