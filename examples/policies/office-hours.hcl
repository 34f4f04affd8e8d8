# Support agents read customers while people are at work to notice.
rule "read customers in office hours" {
  effect    = "allow"
  actions   = ["read", "search"]
  targets   = ["crm"]
  resources = ["customers/**"]

  agent {
    names = ["support-*"]
  }

  environment {
    days     = ["mon", "tue", "wed", "thu", "fri"]
    hours    = "08:00-18:00"
    timezone = "Europe/Berlin"
  }
}

# The night watch starts before midnight and ends after it.
rule "health checks at night" {
  effect  = "allow"
  actions = ["probe"]
  targets = ["crm"]

  environment {
    hours    = "22:00-06:00"
    timezone = "Europe/Berlin"
  }
}
