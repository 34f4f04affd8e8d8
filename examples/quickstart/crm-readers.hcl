# The ceiling of the example's agent: it may read customers, not delete them.
rule "read customers" {
  effect    = "allow"
  actions   = ["read"]
  targets   = ["crm"]
  resources = ["customers/**"]
}
