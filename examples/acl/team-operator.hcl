# The operator of one team: the agents whose names begin with team-a-, and nothing
# else. Which policies it attaches as ceilings, nobody but it decides.
path "agentic/agents/team-a-*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
