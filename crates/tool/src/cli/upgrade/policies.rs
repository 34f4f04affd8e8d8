//! Which rules of ACL policies would not govern any more, and what to write so
//! that they do.

use std::collections::{BTreeMap, BTreeSet};

use super::acl::{self, Edit, Rule, SUDO};
use super::path::{Common, Pattern};
use crate::model::governed::GOVERNED;

/// What governs a mount.
pub(super) struct Governed {
    /// With a slash at its end.
    mount: String,
    pattern: Pattern,
}

impl Governed {
    /// All of it, on some mounts.
    pub(super) fn of<'m>(mounts: impl IntoIterator<Item = &'m str>) -> Vec<Self> {
        let mounts = mounts.into_iter();
        let all = mounts.flat_map(|mount| {
            GOVERNED.map(|path| Self {
                mount: mount.to_owned(),
                pattern: Pattern::new(&[mount, path].concat()),
            })
        });
        all.collect()
    }
}

/// A rule that governs on 0.1 and would not any more.
#[derive(Debug)]
pub(super) struct Change {
    /// The path of the rule.
    pub(super) path: String,
    /// The ordinary capabilities that it gives.
    pub(super) grants: Vec<&'static str>,
    /// The mounts that it reaches.
    pub(super) mounts: BTreeSet<String>,
    /// Whether its path is filled in for each token.
    pub(super) is_template: bool,
}

/// A stanza that a policy gets.
struct Stanza<'r> {
    path: Pattern,
    /// What it is made of.
    rule: &'r Rule,
    /// What it says otherwise than that.
    edit: Edit,
}

/// What is to be done about a policy.
#[derive(Default)]
pub(super) struct Analysis<'r> {
    pub(super) changes: Vec<Change>,
    stanzas: Vec<Stanza<'r>>,
    /// New stanzas, and rules that they would go before, where nothing can be
    /// written that is of both and goes before them.
    pub(super) unwritable: Vec<(String, String)>,
}

/// Looks at one policy by itself.
pub(super) fn analyse<'r>(rules: &'r [Rule], governed: &[Governed]) -> Analysis<'r> {
    let mut analysis = Analysis::default();
    for rule in rules.iter().filter(|rule| rule.lacks_sudo()) {
        let mut mounts = BTreeSet::new();
        for one in governed {
            if rule.is_template() {
                if rule.fixed().meets(&one.pattern) {
                    mounts.insert(one.mount.clone());
                }
            } else if let Some(path) = place(rule, &one.pattern, rules) {
                mounts.insert(one.mount.clone());
                analysis.add(path, rule, true);
            }
        }
        if !mounts.is_empty() {
            analysis.changes.push(Change {
                path: rule.text.clone(),
                grants: rule.grants(),
                mounts,
                is_template: rule.is_template(),
            });
        }
    }
    analysis.keep_others(rules, governed);
    analysis
}

/// Where a rule decides about something that governs, as a path that has `sudo`
/// there and nowhere else.
fn place(rule: &Rule, governed: &Pattern, rules: &[Rule]) -> Option<Pattern> {
    match rule.pattern.common(governed) {
        Common::Pattern(path) => {
            // Only a list comes with a slash, and the others without.
            let is_idle = path != rule.pattern && path.is_item() && rule.grants() == ["list"];
            (!is_idle && decides(rule, &path, rules)).then_some(path)
        }
        Common::Unwritable => None,
        Common::Nothing => {
            // A list comes as `x/`. The host looks for an exact rule for `x`, too,
            // after one for `x/` and before all others.
            let listed = rule.pattern.listed();
            let is_meant = rule.pattern.is_exact()
                && rule.has("list")
                && governed.covers(&listed)
                && rules.iter().all(|other| other.pattern != listed);
            is_meant.then_some(listed)
        }
    }
}

/// Whether the host can come to a rule for a path: no other rule is of all of it
/// and goes before.
fn decides(rule: &Rule, path: &Pattern, rules: &[Rule]) -> bool {
    !rules.iter().any(|other| {
        !other.is_template() && other.pattern.covers(path) && other.pattern.beats(&rule.pattern)
    })
}

impl<'r> Analysis<'r> {
    /// Of all rules that are of the whole path, one decides: it is added once.
    fn add(&mut self, path: Pattern, rule: &'r Rule, sudo: bool) {
        if self.stanzas.iter().all(|known| known.path != path) {
            let edit = Edit {
                sudo,
                without_list: false,
            };
            self.stanzas.push(Stanza { path, rule, edit });
        }
    }

    /// A new stanza is more specific than the rule that it was made of, and would
    /// go before rules that went before that one. They are repeated where they
    /// meet it.
    fn keep_others(&mut self, rules: &'r [Rule], governed: &[Governed]) {
        let mut next = 0;
        while let Some(stanza) = self.stanzas.get(next) {
            let (path, rule) = (stanza.path.clone(), stanza.rule);
            for other in rules.iter().filter(|other| overtaken(&path, rule, other)) {
                let common = other.pattern.common(&path);
                let part = match common {
                    Common::Pattern(part) if !decides(other, &part, rules) => continue,
                    Common::Pattern(part) if part.beats(&path) => Some(part),
                    Common::Nothing | Common::Pattern(_) | Common::Unwritable => None,
                };
                match part {
                    Some(part) => self.add(part, other, true),
                    None => self.unwritable.push((path.to_string(), other.text.clone())),
                }
            }
            if path != rule.pattern && path.is_item() {
                self.keep_list(next, rules, governed);
            }
            next = next.saturating_add(1);
        }
    }

    /// A new stanza for `x` alone would decide about the list of `x/`, too.
    fn keep_list(&mut self, index: usize, rules: &'r [Rule], governed: &[Governed]) {
        let Some(stanza) = self.stanzas.get_mut(index) else {
            return;
        };
        let listed = stanza.path.listed();
        let lists = |rule: &Rule| rule.grants().contains(&"list");
        let decided = rules
            .iter()
            .filter(|rule| !rule.is_template() && rule.pattern.covers(&listed))
            .find(|rule| decides(rule, &listed, rules));
        let listed_before = decided.filter(|rule| lists(rule));
        match listed_before {
            Some(decided) if !lists(stanza.rule) && decided.pattern != listed => {
                let sudo = governed.iter().any(|one| one.pattern.covers(&listed));
                self.add(listed, decided, sudo);
            }
            Some(_) => {}
            None => stanza.edit.without_list = true,
        }
    }

    /// Whether there is something to write.
    pub(super) fn has_patch(&self) -> bool {
        !self.stanzas.is_empty()
    }

    /// The stanzas, as the text of a policy.
    pub(super) fn patch(&self) -> String {
        let blocks = self
            .stanzas
            .iter()
            .flat_map(|stanza| stanza.rule.at(&stanza.path, stanza.edit));
        acl::written(blocks.collect())
    }

    /// Rules of another policy that decide today for tokens that have both, and
    /// that a new stanza would go before, or join: the first for each policy.
    pub(super) fn disputes<'p>(
        &self,
        others: impl IntoIterator<Item = (&'p String, &'p Vec<Rule>)>,
    ) -> BTreeMap<&'p str, String> {
        let mut found = BTreeMap::new();
        for (name, rules) in others {
            let pairs = self.stanzas.iter().flat_map(|stanza| {
                let disputed = rules.iter().filter(|rule| stanza.disputes(rule));
                disputed.map(|rule| format!("`{}` and its `{}`", stanza.path, rule.text))
            });
            if let Some(first) = pairs.into_iter().next() {
                found.insert(name.as_str(), first);
            }
        }
        found
    }
}

impl Stanza<'_> {
    fn disputes(&self, other: &Rule) -> bool {
        let more = self.rule.grants().iter().any(|name| !other.has(name));
        if other.pattern == self.path {
            // They would be joined.
            return self.path != self.rule.pattern && more && !other.denies();
        }
        let same = !more && self.rule.grants() == other.grants();
        overtaken(&self.path, self.rule, other) && !same
    }
}

/// Whether `other` goes before `rule`, and not before a stanza that is made of
/// that for `path`.
fn overtaken(path: &Pattern, rule: &Rule, other: &Rule) -> bool {
    !other.is_template()
        && other.pattern.beats(&rule.pattern)
        && path.beats(&other.pattern)
        && other.pattern.meets(path)
}

/// A rule in words.
pub(super) fn told(change: &Change) -> String {
    let mounts: Vec<&str> = change.mounts.iter().map(String::as_str).collect();
    let hand = if change.is_template {
        "; the server fills in its path: look by hand"
    } else {
        ""
    };
    format!(
        "`{}` gives {} without `{SUDO}` to what governs {}{hand}",
        change.path,
        change.grants.join(", "),
        mounts.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcl::Block;
    use proptest::prelude::*;

    fn rules(text: &str) -> Vec<Rule> {
        let lines: Vec<String> = text
            .split(';')
            .filter_map(|rule| rule.trim().split_once(' '))
            .map(|(path, names)| {
                let names: Vec<&str> = names.split_whitespace().collect();
                format!("path {path:?} {{ capabilities = {names:?} }}\n")
            })
            .collect();
        acl::read(&lines.concat()).unwrap()
    }

    /// The paths of the rules that would change, and the stanzas, in the notation
    /// of [`rules`].
    fn found(text: &str) -> (String, String) {
        let rules = rules(text);
        let governed = Governed::of(["m/"]);
        let analysis = analyse(&rules, &governed);
        let paths: Vec<&str> = analysis
            .changes
            .iter()
            .map(|change| change.path.as_str())
            .collect();
        let patch = acl::read(&analysis.patch()).unwrap();
        let patch: Vec<String> = patch
            .iter()
            .map(|rule| {
                let mut names = vec![rule.text.as_str()];
                names.extend(rule.grants());
                names.extend(["deny", "sudo"].iter().filter(|name| rule.has(name)));
                names.join(" ")
            })
            .collect();
        // What was patched needs nothing any more.
        let again = [text, ";", &patch.join("; ")].concat();
        let again = self::rules(&again);
        assert!(
            analyse(&again, &governed)
                .changes
                .iter()
                .all(|change| change.is_template),
            "{again:?}"
        );
        (paths.join(", "), patch.join("; "))
    }

    #[test]
    fn a_rule_below_what_governs_gets_sudo() {
        for (rule, patch) in [
            ("m/config read update", "m/config read update sudo"),
            ("m/agents/bot read", "m/agents/bot read sudo"),
            ("m/agents/* create list", "m/agents/* create list sudo"),
            ("m/agents/b* patch", "m/agents/b* patch sudo"),
            (
                "m/agents/+/suspend update",
                "m/agents/+/suspend update sudo",
            ),
            ("m/agents/ list", "m/agents/ list sudo"),
            ("m/agents list", "m/agents/ list sudo"),
            ("m/config/issuers/* read", "m/config/issuers/* read sudo"),
            ("m/metrics read", "m/metrics read sudo"),
        ] {
            let path = rule.split(' ').next().unwrap();
            assert_eq!(found(rule), (path.to_owned(), patch.to_owned()));
        }
    }

    #[test]
    fn what_does_not_govern_or_has_sudo_is_left_alone() {
        for rule in [
            "m/creds/* read update",
            "m/self read",
            "m/delegations/+/approve update",
            "m/info read",
            "n/agents/* read",
            "mm/agents/* read",
            "m/agents read",
            "m/config deny",
            "m/config deny read",
            "m/agents/* read sudo",
            "* read sudo",
            "m/agents/* subscribe",
        ] {
            assert_eq!(found(rule), Default::default(), "{rule}");
        }
    }

    #[test]
    fn a_wider_rule_gets_a_stanza_for_each_thing_that_governs() {
        for path in ["*", "m/*", "m*", "+/*"] {
            let (changed, patch) = found(&format!("{path} read list"));
            assert_eq!(changed, path);
            let stanzas: Vec<&str> = patch.split("; ").collect();
            assert_eq!(stanzas.len(), GOVERNED.len(), "{path}");
            for governed in GOVERNED {
                let stanza = format!("m/{governed} read list sudo");
                assert!(stanzas.contains(&stanza.as_str()), "{path} {stanza}");
            }
        }
        assert_eq!(
            found("m/co* read").1,
            "m/config read sudo; m/config/* read sudo"
        );
        assert_eq!(
            found("m/config* read").1,
            "m/config read sudo; m/config/* read sudo"
        );
        let (_, patch) = found("m/+/bot delete");
        assert!(patch.contains("m/agents/bot delete sudo"), "{patch}");
        assert!(patch.contains("m/config/bot delete sudo"), "{patch}");
        let (_, patch) = found("m/+ read update");
        assert_eq!(
            patch,
            "m/config read update sudo; m/metrics read update sudo; m/register read update sudo"
        );
    }

    #[test]
    fn a_rule_that_never_decides_is_not_named() {
        // The more specific one does, and has what it needs.
        assert_eq!(found("m/agents/* read sudo; m/agents/+ read sudo").0, "");
        let (changed, patch) = found("m/* create read; m/agents/* read; m/policies/* deny");
        assert_eq!(changed, "m/*, m/agents/*");
        assert!(patch.contains("m/agents/* read sudo"), "{patch}");
        assert!(!patch.contains("m/agents/* create"), "{patch}");
        assert!(!patch.contains("m/policies"), "{patch}");
        let (changed, patch) = found("* create read; m/* read");
        assert_eq!(changed, "m/*");
        assert!(!patch.contains("create"), "{patch}");
        assert_eq!(found("m/agents list; m/agents/ list sudo").0, "");
    }

    #[test]
    fn a_stanza_takes_nothing_from_rules_that_went_before() {
        let (changed, patch) = found("m/* update; m/+/bot deny");
        assert_eq!(changed, "m/*");
        for stanza in ["m/agents/* update sudo", "m/agents/bot deny"] {
            assert!(patch.contains(stanza), "{patch}");
        }
        let (_, patch) = found("m/* update; m/+/bot read sudo");
        assert!(patch.contains("m/agents/bot read sudo"), "{patch}");
        // Two that cross, and a third between them.
        let (_, patch) = found("m/+/a/* read; m/+/+/x deny");
        for stanza in ["m/agents/a/* read sudo", "m/agents/a/x deny"] {
            assert!(patch.contains(stanza), "{patch}");
        }
    }

    #[test]
    fn what_no_stanza_can_say_is_told() {
        for (text, stanza, before) in [
            ("m/+/b* update; m/+/+ deny", "m/agents/b*", "m/+/+"),
            (
                "m/* update; m/agents/+/* deny",
                "m/agents/*",
                "m/agents/+/*",
            ),
        ] {
            let rules = rules(text);
            let governed = Governed::of(["m/"]);
            let told = (stanza.to_owned(), before.to_owned());
            let unwritable = analyse(&rules, &governed).unwritable;
            assert!(unwritable.contains(&told), "{unwritable:?}");
        }
    }

    #[test]
    fn a_stanza_for_one_thing_leaves_the_list_below_it() {
        // The host looks for a rule for `x` where `x/` is listed.
        let (_, patch) = found("m/* read; m/config/* list sudo");
        for stanza in ["m/config read sudo", "m/config/ list sudo"] {
            assert!(patch.split("; ").any(|one| one == stanza), "{patch}");
        }
        let (_, patch) = found("m/+ read list");
        assert!(
            patch.split("; ").any(|one| one == "m/config read sudo"),
            "{patch}"
        );
        assert_eq!(found("m/+ list"), Default::default());
    }

    #[test]
    fn templates_are_left_to_people() {
        for (rule, is_near) in [
            ("m/agents/{{identity.entity.name}} read", true),
            ("{{identity.entity.metadata.mount}}/agents/* read", true),
            ("m/{{identity.entity.name}} read", true),
            ("m/creds/{{identity.entity.name}} read", false),
            ("kv/{{identity.entity.name}} read", false),
            ("m/agents/{{identity.entity.name}} read sudo", false),
        ] {
            let rules = rules(rule);
            let governed = Governed::of(["m/"]);
            let analysis = analyse(&rules, &governed);
            let near = analysis.changes.iter().any(|change| change.is_template);
            assert_eq!(near, is_near, "{rule}");
            assert!(!analysis.has_patch());
        }
    }

    #[test]
    fn each_policy_is_looked_at_by_itself() {
        // What another policy says of the same path does not count: not every token
        // has both.
        let governed = Governed::of(["m/"]);
        let (without, with) = (rules("m/config read"), rules("m/config sudo"));
        assert_eq!(analyse(&without, &governed).changes.len(), 1);
        assert!(analyse(&with, &governed).changes.is_empty());
    }

    #[test]
    fn every_mount_is_looked_at() {
        let rules = rules("auth/* read");
        let governed = Governed::of(["m/", "auth/m/"]);
        let [change] = &analyse(&rules, &governed).changes[..] else {
            panic!("one rule");
        };
        assert_eq!(
            told(change),
            "`auth/*` gives read without `sudo` to what governs auth/m/"
        );
    }

    #[test]
    fn what_a_stanza_does_to_other_policies_is_told() {
        let wide = rules("m/* create read");
        let governed = Governed::of(["m/"]);
        let analysis = analyse(&wide, &governed);
        let disputed = |text: &str| {
            let others = BTreeMap::from([("other".to_owned(), rules(text))]);
            let found = analysis.disputes(&others);
            found.get("other").cloned().unwrap_or_default()
        };
        assert_eq!(
            disputed("m/agents/* read"),
            "`m/agents/*` and its `m/agents/*`"
        );
        assert_eq!(disputed("m/+/bot deny"), "`m/activity/*` and its `m/+/bot`");
        assert_eq!(disputed("m/agents/bot deny"), "");
        assert_eq!(disputed("m/agents/* create read sudo"), "");
        assert_eq!(disputed("* create read update"), "");
        assert_eq!(disputed("n/* read"), "");
    }

    /// What the host lets a token do at a path that has this policy only.
    fn allowed(rules: &[Rule], path: &str, is_list: bool) -> Vec<&'static str> {
        let exactly = |path: &str| -> Option<&Rule> {
            let path = Pattern::new(path);
            rules.iter().find(move |rule| rule.pattern == path)
        };
        let listed = path.strip_suffix('/').filter(|_| is_list);
        let at = Pattern::new(path);
        let mut best: Option<&Rule> = None;
        for rule in rules.iter().filter(|rule| rule.pattern.covers(&at)) {
            if best.is_none_or(|best| rule.pattern.beats(&best.pattern)) {
                best = Some(rule);
            }
        }
        let rule = exactly(path).or_else(|| listed.and_then(exactly)).or(best);
        let meant: &[&'static str] = if is_list {
            &["list", "sudo"]
        } else {
            &["read", "update", "sudo"]
        };
        let has = |name: &&&str| rule.is_some_and(|rule| !rule.denies() && rule.has(name));
        meant.iter().filter(has).copied().collect()
    }

    const SEGMENTS: [&str; 7] = ["agents", "config", "creds", "bot", "b", "+", ""];
    const CAPABILITIES: [&str; 5] = ["read", "update", "list", "sudo", "deny"];

    fn any_rules() -> impl Strategy<Value = String> {
        let path = (
            prop::sample::select(vec!["m/", "m/", "m/", "+/", "", "m"]),
            prop::collection::vec(prop::sample::select(SEGMENTS.to_vec()), 0..3),
            prop::sample::select(vec!["", "*", "/*"]),
        );
        let capabilities = prop::sample::subsequence(CAPABILITIES.to_vec(), 1..3);
        let rule = (path, capabilities).prop_map(|((mount, segments, end), names)| {
            format!("{mount}{}{end} {}", segments.join("/"), names.join(" "))
        });
        let rules = prop::collection::vec(rule, 1..6);
        rules.prop_map(|rules| {
            let plain = |rule: &String| !rule.contains("+*") && !rule.starts_with(' ');
            let rules: Vec<String> = rules.into_iter().filter(plain).collect();
            rules.join("; ")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_patch_gives_sudo_and_changes_nothing_else(text in any_rules()) {
            let before = rules(&text);
            let governed = Governed::of(["m/"]);
            let analysis = analyse(&before, &governed);
            prop_assume!(analysis.unwritable.is_empty());
            let blocks = acl::read(&analysis.patch()).unwrap();
            let mut all: Vec<Block> = before.iter().flat_map(Rule::blocks).collect();
            all.extend(blocks.iter().flat_map(Rule::blocks));
            let after = acl::read(&acl::written(all)).unwrap();
            let segments = ["agents", "config", "creds", "bot", "b", "bx", ""];
            let mut paths: Vec<String> = segments.iter().map(|one| format!("m/{one}")).collect();
            for one in segments {
                paths.extend(segments.map(|two| format!("m/{one}/{two}")));
                paths.extend(segments.map(|two| format!("m/{one}/bot/{two}")));
            }
            paths.push("n/agents/bot".to_owned());
            for path in &paths {
                let is_list = path.ends_with('/');
                let governs = governed.iter().any(|one| one.pattern.covers(&Pattern::new(path)));
                let (was, is) = (allowed(&before, path, is_list), allowed(&after, path, is_list));
                let ordinary = |names: &[&'static str]| {
                    let names = names.iter().copied();
                    names.filter(|name| *name != "sudo").collect::<Vec<_>>()
                };
                let told = format!("{path} by {text} and {}", analysis.patch());
                prop_assert_eq!(ordinary(&is), ordinary(&was), "{}", told);
                let had = was.contains(&"sudo");
                let has = is.contains(&"sudo");
                let wanted = governs && !ordinary(&was).is_empty();
                prop_assert!(has || !(had || wanted), "{}", told);
                prop_assert!(!has || had || governs, "{}", told);
            }
        }
    }
}
