"""Filters, attribute paths and orders (RFC 7644 §3.4.2.2, §3.4.2.3, §3.5.2): from text to conditions of the model.

It owns the grammar; a resolved attribute comes from a schema.
"""
