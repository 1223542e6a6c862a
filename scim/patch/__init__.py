"""PATCH (RFC 7644 §3.5.2): from the operations of a request to a changed document and a set delta of members."""
