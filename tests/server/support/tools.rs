//! What the Makefile installed below `target/tools`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The server: `$BAO_BIN`, or what `make bao` unpacked.
pub(super) fn bao() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test may be given a server")]
    let given = std::env::var("BAO_BIN").map(PathBuf::from);
    let binary = given.unwrap_or_else(|_| tools().join("bao"));
    assert!(
        binary.exists(),
        "there is no server at {}: run `make bao`, or set BAO_BIN",
        binary.display()
    );
    binary
}

/// The Python with the libraries that tests and examples use.
pub(super) fn venv_python() -> PathBuf {
    let python = tools().join("venv/bin/python");
    assert!(
        python.exists(),
        "there is no Python at {}: run `make python-tools`",
        python.display()
    );
    python
}

/// Runs a script of `tests/tools` with the libraries it needs.
pub(crate) fn python(script: &str, args: &[&str], stdin: &str) -> Output {
    let python = venv_python();
    let mut child = Command::new(python)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/tools")
                .join(script),
        )
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn tools() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("tools")
}
