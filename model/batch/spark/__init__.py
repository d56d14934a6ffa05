"""Tables of cells on Spark: a cell is a row, and so is its embedding."""
