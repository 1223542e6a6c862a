"""Lists and searches (RFC 7644 §3.4.2, §3.4.3; RFC 9865): a page of resources, cursors and page offsets."""
