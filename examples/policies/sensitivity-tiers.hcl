# What a target holds decides how much of a human's yes it takes.
rule "low: free within the ceiling" {
  effect  = "allow"
  actions = ["read", "write"]

  target {
    labels = { sensitivity = "low" }
  }
}

rule "medium: for a human, for five minutes" {
  effect     = "allow"
  actions    = ["read", "write"]
  delegation = "on_behalf_of"
  consent    = "standing"

  target {
    labels = { sensitivity = "medium" }
  }

  limits {
    max_ttl = "5m"
  }
}

rule "high: each time anew, once, bound to a key" {
  effect          = "allow"
  actions         = ["read"]
  delegation      = "on_behalf_of"
  max_chain_depth = 1
  consent         = "per_request"

  target {
    labels = { sensitivity = "high" }
  }

  limits {
    max_ttl             = "1m"
    max_uses            = 1
    proof_of_possession = true
  }
}
