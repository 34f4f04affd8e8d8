# A human for whom agents act: sees what is asked of them, answers, and takes it
# back. Everybody sees only their own, so this can be given to all.
path "agentic/self" {
  capabilities = ["read"]
}
path "agentic/self/decisions/*" {
  capabilities = ["read", "list"]
}
path "agentic/self/revoke" {
  capabilities = ["update"]
}
path "agentic/delegations/" {
  capabilities = ["list"]
}
path "agentic/delegations/grant" {
  capabilities = ["update"]
}
path "agentic/delegations/+" {
  capabilities = ["read"]
}
path "agentic/delegations/+/approve" {
  capabilities = ["update"]
}
path "agentic/delegations/+/deny" {
  capabilities = ["update"]
}
path "agentic/delegations/+/revoke" {
  capabilities = ["update"]
}
path "agentic/delegations/code/+" {
  capabilities = ["read"]
}
path "agentic/delegations/code/+/approve" {
  capabilities = ["update"]
}
path "agentic/delegations/code/+/deny" {
  capabilities = ["update"]
}
path "agentic/consents/+" {
  capabilities = ["read"]
}
path "agentic/consents/+/approve" {
  capabilities = ["update"]
}
path "agentic/consents/+/deny" {
  capabilities = ["update"]
}
