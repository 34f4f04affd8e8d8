# The operator of one team: the agents whose names begin with team-a-, and nothing
# else. Which policies it attaches as ceilings, and whose entities it registers,
# nobody but it decides: an entity that it registers governs and consents no more.
path "agentic/agents/team-a-*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
