//! What the command line says of an upgrade is what a mount does.

use vault_plugin_agentic::cli::defaults;
use vault_plugin_agentic::identity::settings::{AGENTS_GROUP, INTERACTIVE};

#[test]
fn the_command_line_knows_the_defaults_of_a_mount() {
    assert_eq!(defaults::HUMAN_AUTH_METHODS, INTERACTIVE);
    assert_eq!(defaults::AGENTS_GROUP, AGENTS_GROUP);
}
