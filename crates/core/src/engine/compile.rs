//! Policy text to a compiled policy. Every error is found, not just the first,
//! and each says where it is and what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};
use jiff::tz::TimeZone;

use super::diagnostic::{Diagnostic, did_you_mean};
use super::policy::{CompiledPolicy, Effect, MAX_RULES, Obligations, Rule};
use super::syntax::{Part, Source, kind, parts, start};
use super::window::{Day, Hours, Window, zone};
use super::{condition, duration, evaluate, lint};
use crate::model::agent::Mode;
use crate::model::ids::PolicyName;
use crate::model::pattern::Pattern;
use crate::model::target::Consent;
use crate::model::text;

/// The most bytes the name of a rule may have.
const MAX_RULE_NAME: usize = 128;

/// Compiles a policy. With it come warnings about what was probably not meant.
///
/// # Errors
/// Everything that is wrong with the text, in its order.
pub fn compile(
    name: &PolicyName,
    text: &str,
) -> Result<(CompiledPolicy, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut source = Source::new(text);
    let Some(body) = source.parse() else {
        return Err(source.into_diagnostics());
    };
    let rules = policy(&body, &mut source);
    if source.has_errors() {
        return Err(source.into_diagnostics());
    }
    let (offsets, rules): (Vec<usize>, Vec<Rule>) = rules.into_iter().unzip();
    lint::check(&rules, &offsets, &mut source);
    Ok((
        CompiledPolicy {
            name: name.clone(),
            rules,
        },
        source.into_diagnostics(),
    ))
}

fn policy(body: &Body, source: &mut Source<'_>) -> Vec<(usize, Rule)> {
    let mut rules = Vec::new();
    let mut names = BTreeSet::new();
    for part in parts(body) {
        match part {
            Part::Attribute(attribute) => {
                source.unknown(
                    start(attribute),
                    "attribute",
                    attribute.key.as_str(),
                    &["rule"],
                );
            }
            Part::Block(block) if block.ident.as_str() == "rule" => {
                let Some(rule) = rule(block, source) else {
                    continue;
                };
                if !names.insert(rule.name.clone()) {
                    source.error(
                        start(block),
                        format!("there is a rule `{}` already", rule.name),
                        None,
                    );
                }
                rules.push((start(block), rule));
            }
            Part::Block(block) => {
                source.unknown(start(block), "block", block.ident.as_str(), &["rule"])
            }
        }
    }
    if rules.len() > MAX_RULES {
        source.error(
            0,
            format!("a policy may have at most {MAX_RULES} rules"),
            None,
        );
    }
    rules
}

const ATTRIBUTES: [&str; 8] = [
    "effect",
    "actions",
    "targets",
    "resources",
    "delegation",
    "max_chain_depth",
    "consent",
    "condition",
];

fn rule(block: &Block, source: &mut Source<'_>) -> Option<Rule> {
    let name = rule_name(block, source)?;
    let mut rule = Rule::new(name, Effect::Deny);
    let mut effect = None;
    let mut asks_for_consent = None;
    for part in parts(&block.body) {
        match part {
            Part::Attribute(attribute) => {
                let value = &attribute.value;
                match attribute.key.as_str() {
                    "effect" => {
                        effect = word(
                            value,
                            &[("allow", Effect::Allow), ("deny", Effect::Deny)],
                            source,
                        )
                    }
                    "actions" => rule.actions = list(value, source),
                    "targets" => rule.targets = list(value, source),
                    "resources" => rule.resources = list(value, source),
                    "delegation" => rule.mode = word(value, &MODES, source),
                    "max_chain_depth" => {
                        rule.max_chain_depth =
                            number(value, 0, 64, source).and_then(|n| usize::try_from(n).ok());
                    }
                    "consent" => {
                        rule.obligations.consent =
                            word(value, &CONSENTS, source).unwrap_or_default();
                        asks_for_consent = Some(start(attribute));
                    }
                    "condition" => rule.condition = condition::compile(value, source),
                    other => source.unknown(start(attribute), "attribute", other, &ATTRIBUTES),
                }
            }
            Part::Block(inner) => rule_block(inner, &mut rule, source),
        }
    }
    once(&block.body, source);
    match effect {
        Some(effect) => rule.effect = effect,
        None if block.body.has_attribute("effect") => {}
        None => source.error(
            start(block),
            "the rule has no `effect`",
            Some("write `effect = \"allow\"` or `\"deny\"`".into()),
        ),
    }
    if rule.effect == Effect::Deny && effect.is_some() {
        let limits = block.body.get_blocks("limits").next().map(start);
        if let Some(offset) = asks_for_consent.or(limits) {
            source.error(
                offset,
                "a deny rule cannot ask for consent or limits: it denies",
                None,
            );
        }
    }
    Some(rule)
}

fn rule_name<'b>(block: &'b Block, source: &mut Source<'_>) -> Option<&'b str> {
    let [label] = block.labels.as_slice() else {
        source.error(
            start(block),
            "a rule has one name",
            Some("write `rule \"name\" { … }`".into()),
        );
        return None;
    };
    let name = label.as_str();
    if name.is_empty() {
        source.error(start(block), "the name of a rule may not be empty", None);
        return None;
    }
    if let Err(error) = text::check(name, MAX_RULE_NAME) {
        source.error(start(block), format!("the name of the rule {error}"), None);
        return None;
    }
    Some(name)
}

const MODES: [(&str, Mode); 2] = [
    ("autonomous", Mode::Autonomous),
    ("on_behalf_of", Mode::OnBehalfOf),
];
const CONSENTS: [(&str, Consent); 3] = [
    ("none", Consent::None),
    ("standing", Consent::Standing),
    ("per_request", Consent::PerRequest),
];

fn rule_block(block: &Block, rule: &mut Rule, source: &mut Source<'_>) {
    if let Some(label) = block.labels.first() {
        source.error(
            start(label),
            format!("`{}` takes no name", block.ident.as_str()),
            None,
        );
    }
    let known: &[&str] = match block.ident.as_str() {
        "agent" => &["names", "labels", "owners"],
        "subject" => &["names", "groups", "metadata"],
        "target" => &["labels"],
        "environment" => &[
            "days",
            "hours",
            "timezone",
            "cidrs",
            "locations",
            "not_before",
            "not_after",
        ],
        "limits" => &["max_ttl", "max_uses", "rate", "proof_of_possession"],
        other => {
            let blocks = ["agent", "subject", "target", "environment", "limits"];
            return source.unknown(start(block), "block", other, &blocks);
        }
    };
    let mut zone_offset = None;
    for part in parts(&block.body) {
        match part {
            Part::Block(inner) => {
                source.unknown(start(inner), "block", inner.ident.as_str(), known)
            }
            Part::Attribute(attribute) => {
                if attribute.key.as_str() == "timezone" {
                    zone_offset = Some(start(attribute));
                }
                let place = (block.ident.as_str(), attribute.key.as_str());
                if !block_attribute(place, &attribute.value, rule, source) {
                    source.unknown(start(attribute), "attribute", attribute.key.as_str(), known);
                }
            }
        }
    }
    let timeless = rule
        .window
        .as_ref()
        .is_some_and(|window| window.days.is_empty() && window.hours.is_none());
    if let (true, Some(offset)) = (timeless, zone_offset) {
        source.error(
            offset,
            "`timezone` says nothing without `days` or `hours`",
            None,
        );
    }
}

/// Reads one attribute of a block into the rule; false if there is none such.
fn block_attribute(
    place: (&str, &str),
    value: &Expression,
    rule: &mut Rule,
    source: &mut Source<'_>,
) -> bool {
    match place {
        ("agent", "names") => rule.agent_names = list(value, source),
        ("agent", "owners") => rule.agent_owners = list(value, source),
        ("agent", "labels") => rule.agent_labels = map(value, source),
        ("subject", "names") => rule.subject_names = folded(value, source),
        ("subject", "groups") => rule.subject_groups = folded(value, source),
        ("subject", "metadata") => rule.subject_metadata = map(value, source),
        ("target", "labels") => rule.target_labels = map(value, source),
        ("environment", "days") => window(rule).days = days(value, source),
        ("environment", "hours") => window(rule).hours = read(value, source, Hours::parse),
        ("environment", "timezone") => {
            if let Some(zone) = time_zone(value, source) {
                window(rule).zone = zone;
            }
        }
        ("environment", "cidrs") => {
            rule.cidrs = items(value, source, |text| {
                evaluate::parse_network(text)
                    .ok_or_else(|| format!("`{text}` is not a network range; write `10.0.0.0/8`"))
            })
        }
        ("environment", "locations") => rule.locations = list(value, source),
        ("environment", "not_before") => rule.not_before = parsed(value, source),
        ("environment", "not_after") => rule.not_after = parsed(value, source),
        ("limits", name) => return limit(name, value, &mut rule.obligations, source),
        _ => return false,
    }
    true
}

fn limit(
    name: &str,
    value: &Expression,
    obligations: &mut Obligations,
    source: &mut Source<'_>,
) -> bool {
    match name {
        "max_ttl" => {
            obligations.max_ttl = read(value, source, |text| match duration::parse(text)? {
                ttl if ttl.is_zero() => {
                    Err("a lifetime of zero allows nothing; write a deny rule".to_owned())
                }
                ttl => Ok(ttl),
            })
        }
        "max_uses" => {
            obligations.max_uses =
                number(value, 1, u64::from(u32::MAX), source).and_then(|n| u32::try_from(n).ok());
        }
        "rate" => obligations.rate = parsed(value, source),
        "proof_of_possession" => match value.as_bool() {
            Some(wanted) => obligations.proof_of_possession = wanted,
            None => wrong_kind(value, "true or false", source),
        },
        _ => return false,
    }
    true
}

/// Blocks of a rule may come once each; a second would silently win.
fn once(body: &Body, source: &mut Source<'_>) {
    let mut seen = BTreeSet::new();
    for block in body.blocks() {
        if !seen.insert(block.ident.as_str()) {
            source.error(
                start(block),
                format!("the rule has a block `{}` already", block.ident.as_str()),
                None,
            );
        }
    }
}

fn window(rule: &mut Rule) -> &mut Window {
    rule.window.get_or_insert_with(|| Window {
        days: BTreeSet::new(),
        hours: None,
        zone: TimeZone::UTC,
    })
}

fn days(value: &Expression, source: &mut Source<'_>) -> BTreeSet<Day> {
    let day = |text: &str| {
        Day::parse(text).ok_or_else(|| {
            format!(
                "`{text}` is not a day; write {}",
                Day::NAMES.map(|d| format!("\"{d}\"")).join(", ")
            )
        })
    };
    items(value, source, day).into_iter().collect()
}

fn time_zone(value: &Expression, source: &mut Source<'_>) -> Option<TimeZone> {
    let name = string(value, source)?;
    match zone(name) {
        Ok(zone) => Some(zone),
        Err(help) => {
            source.error(
                start(value),
                format!("there is no time zone `{name}`"),
                help,
            );
            None
        }
    }
}

fn string<'e>(value: &'e Expression, source: &mut Source<'_>) -> Option<&'e str> {
    if value.as_str().is_none() {
        wrong_kind(value, "a string", source);
    }
    value.as_str()
}

fn wrong_kind(value: &Expression, wanted: &str, source: &mut Source<'_>) {
    source.error(
        start(value),
        format!("expected {wanted}, found {}", kind(value)),
        None,
    );
}

/// One of a few words.
fn word<T: Copy>(value: &Expression, words: &[(&str, T)], source: &mut Source<'_>) -> Option<T> {
    let text = string(value, source)?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let help = did_you_mean(text, known.iter().copied());
        source.error(
            start(value),
            format!("`{text}` is none of {}", known.join(", ")),
            help,
        );
    }
    found
}

fn read<T>(
    value: &Expression,
    source: &mut Source<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    parse(string(value, source)?)
        .map_err(|message| source.error(start(value), message, None))
        .ok()
}

fn parsed<T: FromStr<Err: Display>>(value: &Expression, source: &mut Source<'_>) -> Option<T> {
    read(value, source, |text| {
        text.parse().map_err(|error: T::Err| error.to_string())
    })
}

/// Patterns of names of the host's entities and groups, which it does not tell
/// apart by case.
fn folded(value: &Expression, source: &mut Source<'_>) -> Vec<Pattern> {
    let patterns: Vec<Pattern> = list(value, source);
    patterns.iter().map(Pattern::folded).collect()
}

fn list<T: FromStr<Err: Display>>(value: &Expression, source: &mut Source<'_>) -> Vec<T> {
    items(value, source, |text| {
        text.parse().map_err(|error: T::Err| error.to_string())
    })
}

/// A list of strings. An empty one would match nothing, or everything: which
/// is for the writer to say.
fn items<T>(
    value: &Expression,
    source: &mut Source<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some(array) = value.as_array() else {
        let help = value.as_str().map(|text| format!("write [\"{text}\"]"));
        source.error(
            start(value),
            format!("expected a list of strings, found {}", kind(value)),
            help,
        );
        return Vec::new();
    };
    if array.is_empty() {
        let help = "leave it out to match everything, or write a deny rule".to_owned();
        source.error(start(value), "the list is empty", Some(help));
    }
    if array.len() > condition::MAX_ITEMS {
        source.error(
            start(value),
            format!("a list may have at most {} items", condition::MAX_ITEMS),
            None,
        );
        return Vec::new();
    }
    array
        .iter()
        .filter_map(|item| read(item, source, &parse))
        .collect()
}

fn map(value: &Expression, source: &mut Source<'_>) -> BTreeMap<String, String> {
    let Some(object) = value.as_object() else {
        wrong_kind(
            value,
            "an object of strings, as in { tier = \"prod\" }",
            source,
        );
        return BTreeMap::new();
    };
    if object.is_empty() {
        source.error(
            start(value),
            "the object is empty",
            Some("leave it out to match everything".into()),
        );
    }
    let mut entries = BTreeMap::new();
    for (key, value) in object.iter() {
        let name = key
            .as_ident()
            .map(|ident| ident.as_str())
            .or_else(|| key.as_expr().and_then(Expression::as_str));
        let (Some(name), Some(text)) = (name, string(value.expr(), source)) else {
            if name.is_none() {
                source.error(
                    key.span().map_or(0, |span| span.start),
                    "a name must be plain",
                    None,
                );
            }
            continue;
        };
        if entries.insert(name.to_owned(), text.to_owned()).is_some() {
            source.error(
                start(value.expr()),
                format!("`{name}` is there already"),
                None,
            );
        }
    }
    entries
}

fn number(value: &Expression, least: u64, most: u64, source: &mut Source<'_>) -> Option<u64> {
    let found = value
        .as_number()
        .and_then(hcl_edit::Number::as_u64)
        .filter(|n| (least..=most).contains(n));
    if found.is_none() {
        wrong_kind(
            value,
            &format!("a whole number from {least} to {most}"),
            source,
        );
    }
    found
}
