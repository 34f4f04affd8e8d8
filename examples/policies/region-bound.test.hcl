ceiling     = ["region-bound"]
remote_addr = "10.1.2.3"

locations = {
  eu-offices = ["10.1.0.0/16"]
  eu-cloud   = ["2001:db8:1::/48"]
}

subject {
  name     = "alice"
  metadata = { region = "eu" }
}

target {
  labels = { region = "eu" }
}

request {
  target = "warehouse"
  action = "read"
}

case "from an office" {
  expect {
    outcome = "allow"
    rule    = "region-bound/eu data in the eu"
  }
}

case "from the cloud, over IPv6" {
  remote_addr = "2001:db8:1::5"
  expect {
    outcome = "allow"
  }
}

case "an office's address in IPv6 form" {
  remote_addr = "::ffff:10.1.2.3"
  expect {
    outcome = "allow"
  }
}

case "from elsewhere" {
  remote_addr = "192.0.2.1"
  expect {
    outcome = "deny"
    reason  = "ceiling.none_applies"
  }
}

case "from the guest network" {
  remote_addr = "10.1.99.7"
  expect {
    outcome = "deny"
    rule    = "region-bound/not from the guest network"
  }
}

case "for somebody in another region" {
  subject {
    metadata = { region = "us" }
  }
  expect {
    outcome = "deny"
  }
}
