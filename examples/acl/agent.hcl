# An agent: asks, holds, hands back. What it may have, its ceiling and its humans
# say, not this.
path "agentic/self" {
  capabilities = ["read"]
}
path "agentic/self/evaluate" {
  capabilities = ["update"]
}
path "agentic/self/targets/+" {
  capabilities = ["read"]
}
path "agentic/self/decisions/*" {
  capabilities = ["read", "list"]
}
path "agentic/self/revoke" {
  capabilities = ["update"]
}
path "agentic/creds/issue" {
  capabilities = ["update"]
}
path "agentic/creds/revoke" {
  capabilities = ["update"]
}
path "agentic/creds/+" {
  capabilities = ["read"]
}
path "agentic/delegations/" {
  capabilities = ["list"]
}
path "agentic/delegations/request" {
  capabilities = ["update"]
}
path "agentic/delegations/+" {
  capabilities = ["read"]
}
path "agentic/delegations/+/delegate" {
  capabilities = ["update"]
}
path "agentic/delegations/+/revoke" {
  capabilities = ["update"]
}
path "agentic/consents/+" {
  capabilities = ["read"]
}
