"""Lists and searches (RFC 7644 §3.4.2, §3.4.3; RFC 9865): the query, its page, cursors and page offsets."""
