"""Loading a directory: lines of a file become operations of Bulks, whatever the file's length."""
