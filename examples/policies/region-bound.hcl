# European data stays with European people, on European networks.
rule "eu data in the eu" {
  effect  = "allow"
  actions = ["read"]

  target {
    labels = { region = "eu" }
  }

  subject {
    metadata = { region = "eu" }
  }

  environment {
    locations = ["eu-offices", "eu-cloud"]
  }
}

# Even inside, not from the guests' network. An address that is not known
# counts as one of it.
rule "not from the guest network" {
  effect = "deny"

  environment {
    cidrs = ["10.1.99.0/24"]
  }
}
