"""Statistics of experiments: what a variant changed, how sure that is, and how many people it takes to know."""
