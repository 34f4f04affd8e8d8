ceiling = ["break-glass"]

subject {
  name   = "alice"
  groups = ["on-call", "sre"]
}

request {
  target    = "prod-db"
  action    = "restart"
  reason    = "the primary does not answer"
  context   = { incident = "INC-1234" }
  consented = true
}

case "with an incident, a reason and a yes" {
  expect {
    outcome  = "allow"
    rule     = "break-glass/repair during an incident"
    max_uses = 1
  }
}

case "before the yes" {
  request {
    consented = false
  }
  expect {
    outcome = "consent_required"
  }
}

case "without an incident" {
  request {
    context = {}
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "an incident of the wrong kind" {
  request {
    context = { incident = 1234 }
  }
  expect {
    outcome = "deny"
  }
}

case "for somebody who is not on call" {
  subject {
    groups = ["sre"]
  }
  expect {
    outcome = "deny"
  }
}

case "deleting" {
  request {
    action = "delete"
  }
  expect {
    outcome = "deny"
    rule    = "break-glass/never delete"
  }
}
