//! What a mount takes for granted where nobody has written `config/identity`.
//! The command line may not look into that room: `tests/house/upgrade.rs` holds
//! the two together.

/// The types of auth methods by which humans log in.
pub const HUMAN_AUTH_METHODS: [&str; 6] = ["ldap", "oidc", "okta", "radius", "saml", "userpass"];

/// The group whose members are neither humans nor operators.
pub const AGENTS_GROUP: &str = "agents";

/// The metadata that says what that group is for, of the one that `register` makes.
pub(super) const GROUP_METADATA: (&str, &str) = (
    "agentic",
    "identity entities of agents, which neither govern nor consent",
);
