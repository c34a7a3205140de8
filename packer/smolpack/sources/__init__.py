"""Where the files of a root file system come from."""
