"""A node that is one process: its pods are real HTTP servers at addresses of their own."""
