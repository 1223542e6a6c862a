"""Bulk requests (RFC 7644 §3.7), and requests that are answered before they are done (RFC 9967 §2.5.1)."""
