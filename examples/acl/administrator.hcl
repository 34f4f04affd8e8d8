# An administrator: the settings of the mount, whose tokens it believes, who
# counts as a human, where decisions are exported to, and signing keys. Add the
# operator's rules for who does both.
path "agentic/config" {
  capabilities = ["read", "update", "sudo"]
}
path "agentic/config/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
path "agentic/keys/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}
