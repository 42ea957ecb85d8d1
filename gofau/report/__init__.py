"""From run records to frames, tables and figures. Reads records; never runs anything."""
