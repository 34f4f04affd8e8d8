ceiling = ["office-hours"]

agent {
  name = "support-bot"
}

request {
  target   = "crm"
  action   = "read"
  resource = "customers/42"
}

case "Monday morning in winter" {
  now = "2026-03-23T07:00:00Z"
  expect {
    outcome = "allow"
    rule    = "office-hours/read customers in office hours"
  }
}

case "the same instant in summer is an hour later in Berlin" {
  now = "2026-03-30T16:00:00Z"
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "Sunday" {
  now = "2026-03-29T10:00:00Z"
  expect {
    outcome = "deny"
  }
}

case "another agent" {
  now = "2026-03-23T07:00:00Z"
  agent {
    name = "billing-bot"
  }
  expect {
    outcome = "deny"
  }
}

case "a probe after midnight" {
  now = "2026-03-23T02:00:00Z"
  request {
    action = "probe"
  }
  expect {
    outcome = "allow"
    rule    = "office-hours/health checks at night"
  }
}
