# Production is closed, but for an incident that a person on call agrees to.
rule "repair during an incident" {
  effect     = "allow"
  actions    = ["restart", "scale"]
  targets    = ["prod-*"]
  delegation = "on_behalf_of"
  consent    = "per_request"

  subject {
    groups = ["on-call"]
  }

  condition = startswith(request.context.incident, "INC-") && length(request.reason) >= 10

  limits {
    max_ttl  = "10m"
    max_uses = 1
  }
}

rule "never delete" {
  effect  = "deny"
  actions = ["delete"]
  targets = ["prod-*"]
}
