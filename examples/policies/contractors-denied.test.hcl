ceiling  = ["contractors-denied"]
baseline = ["contractors-denied"]

subject {
  name   = "alice"
  groups = ["staff"]
}

request {
  target = "wiki"
  action = "write"
}

case "staff" {
  expect {
    outcome = "allow"
  }
}

case "a contractor among the staff writes" {
  subject {
    groups = ["staff", "contractors"]
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.denied"
    rule    = "contractors-denied/contractors may not write"
  }
}

case "a contractor among the staff reads" {
  subject {
    groups = ["staff", "contractors"]
  }
  request {
    action = "read"
  }
  expect {
    outcome = "allow"
  }
}

case "an agent by itself" {
  request {
    mode = "autonomous"
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}
