//! Processes, as `/proc` shows them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

/// A running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
}

/// The processes whose program is in a directory.
pub(super) fn running_from(directory: &Path) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            // Not `exe`: of a process that cannot be dumped, only root reads it.
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            Path::new(OsStr::from_bytes(program)).starts_with(directory)
        })
        .filter_map(|pid| {
            let (state, parent) = status(pid)?;
            (state != "Z").then_some(Process { pid, parent })
        })
        .collect()
}

/// Whether a process is gone, or waits to be reaped.
pub(super) fn has_ended(pid: u32) -> bool {
    status(pid).is_none_or(|(state, _)| state == "Z")
}

/// Ends one process at once, unless it has just ended by itself.
pub(super) fn kill9(pid: u32) {
    let output = Command::new("kill")
        .arg("-9")
        .arg(pid.to_string())
        .output()
        .unwrap();
    assert!(
        output.status.success() || has_ended(pid),
        "cannot kill {pid}: {output:?}"
    );
}

/// The checksum of a file, in hexadecimal.
pub(super) fn sha256(file: &Path) -> String {
    let content = fs::read(file).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The state and the parent: what follows the name, which may hold anything.
fn status(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
