"""drkit's work as CronJobs of the cluster: rendered as a kustomize tree, from ``drkit.yaml`` alone."""
