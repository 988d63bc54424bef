"""The pure core: the multi-entry multi-exit machine, its laws and its policies."""
