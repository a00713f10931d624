"""The only modules that speak to the outside; each raises SourceError and nothing else."""
