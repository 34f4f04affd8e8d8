# Payments: few, small, and each seen by its payer.
rule "small payments" {
  effect  = "allow"
  actions = ["pay"]
  targets = ["billing"]

  agent {
    labels = { tier = "prod" }
  }

  condition = request.context.amount > 0 && request.context.amount <= 500

  limits {
    rate     = "30/1m"
    max_ttl  = "30s"
    max_uses = 1
  }
}
