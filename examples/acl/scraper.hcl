# What collects metrics.
path "agentic/metrics" {
  capabilities = ["read", "sudo"]
}
