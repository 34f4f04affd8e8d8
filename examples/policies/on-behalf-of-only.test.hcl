ceiling = ["on-behalf-of-only"]

request {
  target = "mail"
  action = "read"
}

case "for alice" {
  subject {
    name = "alice"
  }
  expect {
    outcome = "allow"
    rule    = "on-behalf-of-only/act for a human"
  }
}

case "by itself" {
  expect {
    outcome = "deny"
    reason  = "ceiling.denied"
    rule    = "on-behalf-of-only/never by itself"
  }
}

case "for somebody who is disabled" {
  subject {
    name     = "alice"
    disabled = true
  }
  expect {
    outcome = "deny"
    reason  = "subject.disabled"
  }
}
