# An operator: registers agents, says what they may do, sees all decisions, and
# stops anybody. Neither keys, nor whose tokens are believed, nor who is a human:
# that is the administrator's.
path "agentic/agents/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/registration/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/register" {
  capabilities = ["create", "update", "sudo"]
}
path "agentic/policies/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/targets/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/baselines/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/locations/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/oversight/*" {
  capabilities = ["read", "update", "list", "sudo"]
}
path "agentic/decisions/*" {
  capabilities = ["read", "update", "list", "sudo"]
}
path "agentic/activity/*" {
  capabilities = ["read", "list", "sudo"]
}
path "agentic/config" {
  capabilities = ["read", "sudo"]
}
