"""Points in a plane: a field that another package brings, whose densities are known."""
