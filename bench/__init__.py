"""What `make bench` measures: one module a measurement, each with rows() for the table."""
