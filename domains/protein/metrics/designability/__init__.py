"""Whether a sequence folds to a backbone: by folding it, or by proxy."""
