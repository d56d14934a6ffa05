"""SQL warehouses, and SELECT statements over Delta tables by DuckDB."""
