//! `policy check` and `policy test`: the engine of the plugin, without a
//! server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::suite::{Case, Suite};
use crate::engine::diagnostic::Severity;
use crate::engine::policy::{CompiledPolicy, PolicySet};
use crate::engine::{Decision, applied_rules, compile, decide};
use crate::model::ids::PolicyName;

/// What a command found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The text to print.
    pub text: String,
    /// Whether all is well; else the process exits with 1.
    pub ok: bool,
    /// The exit status, if `ok` does not say all.
    pub status: Option<u8>,
}

/// Parses, compiles and lints policy files. Warnings do not fail.
#[must_use]
pub fn check(files: &[PathBuf]) -> Report {
    let mut report = Report {
        text: String::new(),
        ok: !files.is_empty(),
        status: None,
    };
    if files.is_empty() {
        report.text.push_str("no policy files given\n");
    }
    for file in files {
        match load(file) {
            Ok((policy, warnings)) => {
                report.text.push_str(&warnings);
                let _ = writeln!(
                    report.text,
                    "{}: ok, {} rules",
                    file.display(),
                    policy.rules.len()
                );
            }
            Err(errors) => {
                report.text.push_str(&errors);
                report.ok = false;
            }
        }
    }
    report
}

/// Runs every `*.test.hcl` of a directory against the policies in it.
#[must_use]
pub fn test(directory: &Path) -> Report {
    let mut report = Report {
        text: String::new(),
        ok: true,
        status: None,
    };
    let (policies, suites) = match find(directory) {
        Ok(found) => found,
        Err(message) => {
            return Report {
                text: message,
                ok: false,
                status: None,
            };
        }
    };
    let mut library = BTreeMap::new();
    for file in &policies {
        match load(file) {
            Ok((policy, _)) => {
                library.insert(policy.name.clone(), Arc::new(policy));
            }
            Err(errors) => {
                report.text.push_str(&errors);
                report.ok = false;
            }
        }
    }
    let mut run = Run {
        library,
        covered: BTreeSet::new(),
        passed: 0,
        failed: 0,
    };
    for file in &suites {
        run.suite(file, &mut report.text);
    }
    run.coverage(&mut report.text);
    let _ = writeln!(report.text, "{} passed, {} failed", run.passed, run.failed);
    report.ok &= run.failed == 0 && run.passed > 0;
    report
}

struct Run {
    library: BTreeMap<PolicyName, Arc<CompiledPolicy>>,
    covered: BTreeSet<String>,
    passed: usize,
    failed: usize,
}

impl Run {
    fn suite(&mut self, file: &Path, text: &mut String) {
        let _ = writeln!(text, "{}", file.display());
        let suite = match fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|t| Suite::parse(&t))
        {
            Ok(suite) => suite,
            Err(message) => {
                let _ = writeln!(text, "  FAIL  {message}");
                self.failed = self.failed.saturating_add(1);
                return;
            }
        };
        for (name, case) in suite.cases() {
            let problems = self
                .case(&suite, case)
                .unwrap_or_else(|message| vec![message]);
            let verdict = if problems.is_empty() { "ok" } else { "FAIL" };
            let _ = writeln!(
                text,
                "  {verdict:4}  {:16}  {name}",
                case.expect.outcome.as_str()
            );
            for problem in &problems {
                let _ = writeln!(text, "        {problem}");
            }
            let counter = if problems.is_empty() {
                &mut self.passed
            } else {
                &mut self.failed
            };
            *counter = counter.saturating_add(1);
        }
    }

    fn case(&mut self, suite: &Suite, case: &Case) -> Result<Vec<String>, String> {
        let (request, facts) = suite.build(case, &self.library)?;
        let decision = decide(&request, &facts);
        self.covered.extend(
            applied_rules(&request, &facts)
                .iter()
                .map(ToString::to_string),
        );
        let mut problems = differences(case, &decision);
        if !problems.is_empty() {
            let explanation = decision.explain(&request, &facts);
            problems.push(explanation.message);
            for layer in explanation.layers {
                let lacked = layer
                    .lacked
                    .iter()
                    .map(|lack| format!("{} = {}", lack.dimension, lack.wanted));
                if let Some(rule) = layer.nearest_rule {
                    problems.push(format!(
                        "nearest: {rule}, which wants {}",
                        lacked.collect::<Vec<_>>().join("; ")
                    ));
                }
            }
        }
        Ok(problems)
    }

    fn coverage(&self, text: &mut String) {
        let names: Vec<PolicyName> = self.library.keys().cloned().collect();
        let all = PolicySet::attach(&names, &self.library);
        let rules: Vec<String> = all.rules().map(|rule| rule.to_string()).collect();
        let missed: Vec<_> = rules
            .iter()
            .filter(|rule| !self.covered.contains(*rule))
            .collect();
        let _ = writeln!(
            text,
            "coverage: {} of {} rules",
            rules.len().saturating_sub(missed.len()),
            rules.len()
        );
        for rule in missed {
            let _ = writeln!(text, "  never applied: {rule}");
        }
    }
}

/// What a decision is that its case did not expect.
fn differences(case: &Case, decision: &Decision) -> Vec<String> {
    let expect = &case.expect;
    let rules: Vec<String> = decision
        .verdicts
        .iter()
        .filter_map(|v| v.rule.as_ref())
        .map(ToString::to_string)
        .collect();
    let mut problems = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, found: String| {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            problems.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    compare(
        "outcome",
        Some(expect.outcome.as_str().to_owned()),
        decision.outcome.as_str().to_owned(),
    );
    let reason = decision.reason().map_or("none", |reason| reason.as_str());
    compare("reason", expect.reason.clone(), reason.to_owned());
    compare("ttl", expect.ttl.clone(), decision.limits.ttl.to_string());
    let uses = decision
        .limits
        .max_uses
        .map_or_else(|| "unlimited".to_owned(), |uses| uses.to_string());
    compare(
        "max_uses",
        expect.max_uses.map(|uses| uses.to_string()),
        uses,
    );
    let named = expect.rule.as_ref().is_none_or(|rule| rules.contains(rule));
    compare(
        "rule",
        expect.rule.clone().filter(|_| !named),
        rules.join(", "),
    );
    problems
}

type Found = (Vec<PathBuf>, Vec<PathBuf>);

/// The policies and the suites of a directory, each in the order of names.
fn find(directory: &Path) -> Result<Found, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}\n", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hcl"));
    files.sort();
    let (suites, policies): Found = files
        .into_iter()
        .partition(|file| file.to_string_lossy().ends_with(".test.hcl"));
    if suites.is_empty() {
        return Err(format!("{}: no *.test.hcl files\n", directory.display()));
    }
    Ok((policies, suites))
}

/// A policy from its file, which it is named after, with its warnings as text;
/// or its errors as text.
fn load(file: &Path) -> Result<(CompiledPolicy, String), String> {
    let shown = file.display();
    let stem = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let name: PolicyName = stem
        .parse()
        .map_err(|error| format!("{shown}: {error}\n"))?;
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}\n"))?;
    let lines = |found: &[crate::engine::diagnostic::Diagnostic], most: Severity| {
        let shown_ones = found
            .iter()
            .filter(|diagnostic| diagnostic.severity <= most);
        shown_ones
            .map(|diagnostic| format!("{shown}:{diagnostic}\n"))
            .collect::<String>()
    };
    match compile(&name, &text) {
        Ok((policy, warnings)) => Ok((policy, lines(&warnings, Severity::Warning))),
        Err(errors) => Err(lines(&errors, Severity::Warning)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/policies")
    }

    #[test]
    fn the_examples_pass_their_own_tests() {
        let report = test(&examples());
        assert!(report.ok, "{}", report.text);
        assert!(!report.text.contains("never applied"), "{}", report.text);
    }

    #[test]
    fn the_examples_have_no_warnings() {
        let (policies, _) = find(&examples()).unwrap();
        let report = check(&policies);
        assert!(
            report.ok && !report.text.contains("warning"),
            "{}",
            report.text
        );
    }

    #[test]
    fn what_is_wrong_fails() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!test(directory.path()).ok);
        let file = directory.path().join("bad.hcl");
        fs::write(&file, "rule \"a\" {\n  efect = \"allow\"\n}\n").unwrap();
        let report = check(&[file]);
        assert!(!report.ok);
        assert!(
            report
                .text
                .contains("bad.hcl:2:3: error: unknown attribute `efect` (did you mean `effect`?)"),
            "{}",
            report.text
        );
        fs::write(
            directory.path().join("a.test.hcl"),
            "case \"x\" {\n nonsense = 1\n}\n",
        )
        .unwrap();
        assert!(!test(directory.path()).ok);
        assert!(!check(&[]).ok);
    }
}
