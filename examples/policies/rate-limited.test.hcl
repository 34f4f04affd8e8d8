ceiling = ["rate-limited"]

agent {
  name   = "payer"
  labels = { tier = "prod" }
}

request {
  target  = "billing"
  action  = "pay"
  context = { amount = 500 }
}

case "a small payment" {
  expect {
    outcome  = "allow"
    ttl      = "30s"
    max_uses = 1
  }
}

case "a cent too much" {
  request {
    context = { amount = 500.01 }
  }
  expect {
    outcome = "deny"
  }
}

case "a payment to oneself" {
  request {
    context = { amount = -1 }
  }
  expect {
    outcome = "deny"
  }
}

case "an amount in words" {
  request {
    context = { amount = "5" }
  }
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "an agent on trial" {
  agent {
    labels = { tier = "trial" }
  }
  expect {
    outcome = "deny"
  }
}
