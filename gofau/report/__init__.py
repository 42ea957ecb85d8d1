"""Makes frames, tables and figures from run records. It only reads records and never trains."""
