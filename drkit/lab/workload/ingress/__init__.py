"""drkit's stand-in for an ingress controller: Ingress objects become HAProxy's configuration. It runs in a pod."""
