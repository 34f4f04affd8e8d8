//! A file that OCSF events are appended to, one on each line.
//!
//! A file that the plugin writes is written as the server's user. So only who
//! configures the server's plugin catalog can allow files at all, by the
//! argument `--export-dir`; who configures the mount names a file in it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::record::decisions::entry::Entry;
use crate::record::export::ocsf;

/// The longest name of a file.
const LONGEST: usize = 64;
/// Checks the name of a file.
///
/// # Errors
/// A sentence that says what a name may be.
pub fn check(name: &str) -> Result<(), String> {
    let stem = name.strip_suffix(".jsonl").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.len() > LONGEST || stem.is_empty() || !stem.bytes().all(plain) {
        return Err(
            "must be a name of letters, digits, `_` and `-` that ends in `.jsonl`, at most 64 characters"
                .to_owned(),
        );
    }
    Ok(())
}

/// The file, and how large it may become.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    most: u64,
}

impl EventFile {
    /// A file in a directory, of a mount: mounts of one catalog entry share the
    /// directory, and its id in the name keeps their files apart. Opens nothing.
    #[must_use]
    pub fn new(directory: &Path, name: &str, mount: &str, most: u64) -> Self {
        let stem = name.strip_suffix(".jsonl").unwrap_or(name);
        let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        let mount: String = mount.chars().filter(plain).take(LONGEST).collect();
        Self {
            path: directory.join(format!("{stem}.{mount}.jsonl")),
            most,
        }
    }

    /// Appends events. A file that has become too large is put aside under the
    /// same name with `.1`, in place of the one that was put aside before.
    ///
    /// # Errors
    /// A sentence, if the file cannot be written, or is no regular file.
    pub fn append(&self, entries: &[Arc<Entry>]) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = self.open().map_err(said)?;
        let metadata = file.metadata().map_err(said)?;
        if !metadata.is_file() {
            return Err(format!("{}: not a regular file", self.path.display()));
        }
        if metadata.len() >= self.most {
            drop(file);
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            fs::rename(&self.path, aside).map_err(said)?;
            file = self.open().map_err(said)?;
        }
        let mut lines = Vec::new();
        for entry in entries {
            let _ = writeln!(lines, "{}", ocsf::event(entry));
        }
        file.write_all(&lines).map_err(said)
    }

    fn open(&self) -> std::io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Outcome;
    use crate::model::ids::DecisionId;
    use crate::model::time::Timestamp;
    use crate::record::decisions::entry::Kind;

    fn entries(count: usize) -> Vec<Arc<Entry>> {
        let at = Timestamp::from_unix(1);
        let entry = Entry::new(
            DecisionId::mint(at, [1; 10]),
            at,
            Kind::Issue,
            Outcome::Allow,
        );
        let entry = Arc::new(entry);
        (0..count).map(|_| Arc::clone(&entry)).collect()
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert_eq!(check("decisions.jsonl"), Ok(()));
        for bad in [
            "",
            ".jsonl",
            "a",
            "/etc/passwd",
            "../a.jsonl",
            "a/b.jsonl",
            "a.b.jsonl",
            "a\n.jsonl",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let file = EventFile::new(directory.path(), "d.jsonl", "m", 1_000);
        for _ in 0..50 {
            file.append(&entries(1)).unwrap();
        }
        let sizes: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(sizes < 6_000, "{sizes}");
        let text = fs::read_to_string(directory.path().join("d.m.jsonl")).unwrap();
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["class_uid"], 6003);
        }
    }

    #[test]
    fn a_link_or_a_directory_is_no_file_to_write_to() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, directory.path().join("l.m.jsonl")).unwrap();
        fs::create_dir(directory.path().join("d.m.jsonl")).unwrap();
        for name in ["l.jsonl", "d.jsonl"] {
            let file = EventFile::new(directory.path(), name, "m", 1_000);
            assert!(file.append(&entries(1)).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "mine");
    }
}
