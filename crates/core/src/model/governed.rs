//! Which paths of a mount govern.

/// What governs, in the host's notation for root-protected paths: its core asks
/// the token of every caller for the ACL capability `sudo`, explicitly.
///
/// Only exact paths and trailing globs hold on both hosts: one of them takes
/// neither `+` nor an inner `*`, silently, and an exact path below a glob opens
/// the glob. A list arrives as `x/`, which `x/*` guards and `x` does not.
pub const GOVERNED: [&str; 14] = [
    "activity/*",
    "agents/*",
    "baselines/*",
    "config",
    "config/*",
    "decisions/*",
    "keys/*",
    "locations/*",
    "metrics",
    "oversight/*",
    "policies/*",
    "register",
    "registration/*",
    "targets/*",
];
