"""The commands of ``identity``, one module for each group."""
