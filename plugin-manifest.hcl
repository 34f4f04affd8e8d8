# What an operator's server needs to know about this plugin. The same binary is
# both types; `agentic register` reads this file, and `--print`
# shows the commands it stands for.

name    = "agentic"
version = "0.1.0"

# Of the stripped binary of a release. `make manifest` writes both to target/dist;
# without it, `register` takes that of the binary.
# sha256 = ""

plugin "secret" {
  command     = "vault-plugin-agentic"
  args        = ["--type=secrets"]
  mount       = "agentic/"
  description = "Identity, ceilings, delegation and credentials for AI agents"

  tune {
    # Who asked for what, and what became of it, can be read in the audit log.
    # Credentials, assertions, keys, claims and contexts stay hashed.
    audit_non_hmac_request_keys = [
      "agent", "agent_id", "entity_id", "subject", "subject_entity_id",
      "target", "action", "resource", "reason", "purpose",
      "delegation_id", "consent_id", "decision_id", "jti",
      "targets", "actions", "resources", "ceiling_policies", "policies",
      "delegation_modes", "max_delegation_depth", "ttl", "max_ttl", "max_uses",
      "audience", "rotation_period",
      "issuer_id", "vault_policies",
    ]
    audit_non_hmac_response_keys = [
      "id", "name", "agent", "agent_id", "entity_id", "subject",
      "target", "action", "resource", "outcome", "mode", "status",
      "decision_id", "delegation_id", "consent_id", "jti", "expires_at",
      "credential_type", "ceiling_policies", "error", "reason",
      "refused_as", "notes",
      "active", "client_id", "sub", "max_uses", "uses_left", "revoked_at",
      "subject_entity_id", "parent_id", "delegator_id", "purpose", "answered_by",
      # Signed by us to be shown: what a human agreed to. No credential.
      "receipt",
    ]
  }
}

plugin "auth" {
  command     = "vault-plugin-agentic"
  args        = ["--type=auth"]
  mount       = "agentic/"
  description = "Login for AI agents, with a token for one request"

  tune {
    audit_non_hmac_request_keys = [
      "agent", "agent_id", "entity_id", "subject", "subject_entity_id",
      "target", "action", "resource", "reason", "purpose",
      "delegation_id", "consent_id", "decision_id", "jti",
      "targets", "actions", "resources", "ceiling_policies", "policies",
      "delegation_modes", "max_delegation_depth", "ttl", "max_ttl", "max_uses",
      "audience", "rotation_period",
      "issuer_id", "vault_policies",
    ]
    audit_non_hmac_response_keys = [
      "id", "name", "agent", "agent_id", "entity_id", "subject",
      "target", "action", "resource", "outcome", "mode", "status",
      "decision_id", "delegation_id", "consent_id", "jti", "expires_at",
      "credential_type", "ceiling_policies", "error", "reason",
      "refused_as", "notes",
      "active", "client_id", "sub", "max_uses", "uses_left", "revoked_at",
      "subject_entity_id", "parent_id", "delegator_id", "purpose", "answered_by",
      # Signed by us to be shown: what a human agreed to. No credential.
      "receipt",
    ]
  }
}
