# A verifier: an API or a gateway that is shown credentials, or asks for a yes or
# no (AuthZEN). It learns nothing of why.
path "agentic/creds/introspect" {
  capabilities = ["update"]
}
path "agentic/creds/redeem" {
  capabilities = ["update"]
}
path "agentic/access/v1/evaluation" {
  capabilities = ["update"]
}
path "agentic/access/v1/evaluations" {
  capabilities = ["update"]
}
