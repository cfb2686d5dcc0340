"""The sample workload: what the reference cluster runs, to be backed up, lost and restored."""
