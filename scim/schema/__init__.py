"""Schemas and resource types (RFC 7643 §2, §6, §7): the built-in ones, the catalogue of a tenant, and attribute values.

It owns the JSON definitions beside it and the one stored form of a value.
"""
