//! What people run: `agentic` installs the plugin into a server, says what an upgrade
//! changes, checks and tests policies, and reports from audit logs. Nothing of it
//! is in the process that the server starts.

pub mod cli;

use agentic_core::{engine, model};
