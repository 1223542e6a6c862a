"""Resources (RFC 7643 §3; RFC 7644 §3.3, §3.4.1, §3.5.1, §3.9): from a body to a profile, from storage to an answer."""
