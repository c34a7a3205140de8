"""Root file systems for tests, examples and benchmarks, each a tar in the cache."""
