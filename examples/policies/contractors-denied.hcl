# A baseline: what people may do, and contractors may not, through any agent.
rule "staff may read and write" {
  effect  = "allow"
  actions = ["read", "write"]

  subject {
    groups = ["staff"]
  }
}

rule "contractors may not write" {
  effect     = "deny"
  actions    = ["write"]
  delegation = "on_behalf_of"
  condition  = contains(subject.groups, "contractors")
}
