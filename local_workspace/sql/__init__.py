"""SQL warehouses, and statements over Delta tables by DuckDB."""
