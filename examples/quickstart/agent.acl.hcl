# What the agent's token may do: look at itself, and ask. What it gets is for
# the plugin to decide.
path "agentic/self" {
  capabilities = ["read"]
}

path "agentic/creds/*" {
  capabilities = ["read", "update"]
}
