ceiling = ["sensitivity-tiers"]

request {
  target = "records"
  action = "read"
  ttl    = "1h"
}

case "low, autonomous" {
  target {
    labels = { sensitivity = "low" }
  }
  expect {
    outcome = "allow"
    ttl     = "3600s"
  }
}

case "medium, autonomous" {
  target {
    labels = { sensitivity = "medium" }
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "medium, for a human" {
  subject {
    name = "alice"
  }
  target {
    labels = { sensitivity = "medium" }
  }
  expect {
    outcome = "allow"
    ttl     = "300s"
  }
}

case "high, not yet agreed to" {
  subject {
    name = "alice"
  }
  target {
    labels = { sensitivity = "high" }
  }
  request {
    proof_of_possession = true
  }
  expect {
    outcome = "consent_required"
    reason  = "consent.required"
  }
}

case "high, agreed to" {
  subject {
    name = "alice"
  }
  target {
    labels = { sensitivity = "high" }
  }
  request {
    proof_of_possession = true
    consented           = true
  }
  expect {
    outcome  = "allow"
    rule     = "sensitivity-tiers/high: each time anew, once, bound to a key"
    ttl      = "60s"
    max_uses = 1
  }
}

case "high, without a key" {
  subject {
    name = "alice"
  }
  target {
    labels = { sensitivity = "high" }
  }
  request {
    consented = true
  }
  expect {
    outcome = "deny"
    reason  = "proof.required"
  }
}

case "high, through another agent" {
  subject {
    name = "alice"
  }
  target {
    labels = { sensitivity = "high" }
  }
  request {
    chain_depth = 2
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "no label" {
  expect {
    outcome = "deny"
  }
}
