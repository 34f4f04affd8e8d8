# An auditor: reads what governs and every decision, explains and checks, and
# changes nothing.
path "agentic/agents/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/registration/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/policies/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/policies/check" {
  capabilities = ["update", "sudo"]
}
path "agentic/targets/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/targets/+/doctor" {
  capabilities = ["read", "update", "sudo"]
}
path "agentic/baselines/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/locations/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/oversight/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/decisions/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/decisions/evaluate" {
  capabilities = ["update", "sudo"]
}
path "agentic/activity/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/metrics" {
  capabilities = ["read", "sudo"]
}
path "agentic/keys/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/config" {
  capabilities = ["read", "sudo"]
}
path "agentic/config/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/config/issuers/+/check" {
  capabilities = ["update", "sudo"]
}
