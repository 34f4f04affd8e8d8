# The agent is somebody's assistant: without a human it does nothing.
rule "act for a human" {
  effect     = "allow"
  actions    = ["read", "write"]
  targets    = ["mail", "calendar"]
  delegation = "on_behalf_of"
}

rule "never by itself" {
  effect     = "deny"
  delegation = "autonomous"
}
