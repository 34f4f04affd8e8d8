//! The server's ACL policies, rule by rule.

use hcl::format::{Format as _, Formatter};
use hcl::{Attribute, Block, BlockLabel, Body, Expression, Structure};
use serde_json::Value;

use super::path::Pattern;

/// The capability that the host asks for where something governs.
pub(super) const SUDO: &str = "sudo";
/// The capabilities by which something is done.
pub(super) const ORDINARY: [&str; 6] = ["create", "read", "update", "delete", "list", "patch"];
const DENY: &str = "deny";

/// What a policy says of a path. Where it does so several times, that is one
/// rule: the host joins them.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// As it is written, without a slash at the beginning.
    pub(super) text: String,
    pub(super) pattern: Pattern,
    capabilities: Vec<String>,
    blocks: Vec<Block>,
}

impl Rule {
    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|has| has == capability)
    }

    pub(super) fn denies(&self) -> bool {
        self.has(DENY)
    }

    /// The ordinary capabilities that it gives.
    pub(super) fn grants(&self) -> Vec<&'static str> {
        let given = |capability: &&str| !self.denies() && self.has(capability);
        ORDINARY.into_iter().filter(given).collect()
    }

    /// Whether it gives something, and `sudo` is not beside it.
    pub(super) fn lacks_sudo(&self) -> bool {
        !self.grants().is_empty() && !self.has(SUDO)
    }

    /// Whether the server fills its path in, for each token.
    pub(super) fn is_template(&self) -> bool {
        self.text.contains("{{")
    }

    /// Its path up to where it is filled in.
    pub(super) fn fixed(&self) -> Pattern {
        let begin = self.text.split("{{").next().unwrap_or_default();
        Pattern::new(&format!("{begin}*"))
    }

    /// What it is written as.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> Vec<Block> {
        self.blocks.clone()
    }

    /// The same for another path. Where it gives nothing, it is left as it is.
    pub(super) fn at(&self, path: &Pattern, edit: Edit) -> Vec<Block> {
        let gives = !self.grants().is_empty();
        let blocks = self.blocks.iter().cloned();
        blocks
            .map(|mut block| {
                block.labels = vec![BlockLabel::String(path.to_string())];
                if gives {
                    change(&mut block, edit);
                }
                block
            })
            .collect()
    }
}

/// How the capabilities of a rule change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    /// Whether `sudo` is added.
    pub(super) sudo: bool,
    pub(super) without_list: bool,
}

/// What a policy says, by path. Lines that are no rules are passed over.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let body = if text.trim_start().starts_with('{') {
        from_json(text).ok_or("it is not JSON that can be read")?
    } else {
        hcl::parse(text).map_err(|_| "it is not HCL that can be read")?
    };
    let mut rules: Vec<Rule> = Vec::new();
    for block in body.into_blocks() {
        if block.identifier() != "path" {
            continue;
        }
        let [label] = block.labels() else {
            return Err("a `path` in it needs one name".to_owned());
        };
        let text = label.as_str();
        let text = text.strip_prefix('/').unwrap_or(text).to_owned();
        let capabilities = capabilities(&block)
            .ok_or_else(|| format!("the capabilities of `{text}` in it are no plain list"))?;
        let known = rules.iter_mut().find(|rule| rule.text == text);
        if let Some(rule) = known {
            rule.capabilities.extend(capabilities);
            rule.blocks.push(block);
        } else {
            rules.push(Rule {
                pattern: Pattern::new(&text),
                text,
                capabilities,
                blocks: vec![block],
            });
        }
    }
    Ok(rules)
}

/// Policies may be written as JSON, too.
fn from_json(text: &str) -> Option<Body> {
    let policy: Value = serde_json::from_str(text).ok()?;
    let paths = policy.get("path")?;
    let paths = match paths.as_array() {
        Some(list) => list.as_slice(),
        None => std::slice::from_ref(paths),
    };
    let mut body = Body::builder();
    for (path, rule) in paths.iter().filter_map(Value::as_object).flatten() {
        let attributes = rule.as_object()?.iter().map(|(name, value)| {
            let value = hcl::to_expression(value).ok()?;
            Some(Attribute::new(name.as_str(), value))
        });
        let attributes: Option<Vec<_>> = attributes.collect();
        let block = Block::builder("path")
            .add_label(path.as_str())
            .add_attributes(attributes?);
        body = body.add_block(block.build());
    }
    Some(body.build())
}

fn capabilities(block: &Block) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for attribute in block.body().attributes() {
        match (attribute.key(), attribute.expr()) {
            ("capabilities", Expression::Array(names)) => {
                for name in names {
                    let Expression::String(name) = name else {
                        return None;
                    };
                    found.push(name.clone());
                }
            }
            ("policy", Expression::String(name)) => found.extend(shorthand(name)?),
            ("capabilities" | "policy", _) => return None,
            _ => {}
        }
    }
    Some(found)
}

/// What the old word for several capabilities stands for.
fn shorthand(word: &str) -> Option<Vec<String>> {
    let names: &[&str] = match word {
        "deny" => &[DENY],
        "read" => &["read", "list"],
        "write" => &["create", "read", "update", "delete", "list"],
        "sudo" => &["create", "read", "update", "delete", "list", SUDO],
        _ => return None,
    };
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn change(block: &mut Block, edit: Edit) {
    let mut names = capabilities(block).unwrap_or_default();
    if edit.sudo && !names.iter().any(|name| name == SUDO) {
        names.push(SUDO.to_owned());
    }
    if edit.without_list {
        names.retain(|name| name != "list");
    }
    let names: Vec<Expression> = names.into_iter().map(Expression::from).collect();
    let mut with = Some(Structure::from(Attribute::new("capabilities", names)));
    let body = std::mem::take(&mut block.body.0);
    block.body.0 = body
        .into_iter()
        .filter_map(|structure| match &structure {
            Structure::Attribute(attribute)
                if matches!(attribute.key(), "capabilities" | "policy") =>
            {
                with.take()
            }
            Structure::Attribute(_) | Structure::Block(_) => Some(structure),
        })
        .collect();
    block.body.0.extend(with);
}

/// Blocks as the text of a policy.
pub(super) fn written(blocks: Vec<Block>) -> String {
    let mut text = Vec::new();
    let mut formatter = Formatter::builder()
        .compact_arrays(true)
        .dense(true)
        .build(&mut text);
    let body = Body::from_iter(blocks);
    // Nothing can fail that writes to memory.
    let _ = body.format(&mut formatter);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Rule {
        let mut rules = read(text).unwrap();
        assert_eq!(rules.len(), 1, "{rules:?}");
        rules.remove(0)
    }

    fn at(rule: &Rule, path: &str) -> String {
        let edit = Edit {
            sudo: true,
            without_list: false,
        };
        written(rule.at(&Pattern::new(path), edit))
    }

    #[test]
    fn a_rule_is_moved_with_all_that_it_says() {
        let rule = one(
            "# Who governs.\npath \"/m/*\" {\n  comment = \"who\"\n  capabilities = [\"read\", \"update\"]\n  \
             allowed_parameters = {\n    \"a\" = [\"b*\"]\n  }\n}\n",
        );
        assert!(rule.lacks_sudo());
        assert_eq!(rule.text, "m/*");
        assert_eq!(
            at(&rule, "m/agents/*"),
            "path \"m/agents/*\" {\n  comment = \"who\"\n  capabilities = [\"read\", \"update\", \"sudo\"]\n  \
             allowed_parameters = {\n    \"a\" = [\"b*\"]\n  }\n}\n"
        );
    }

    #[test]
    fn what_denies_or_says_nothing_is_moved_as_it_is() {
        for said in ["[\"deny\", \"read\"]", "[]"] {
            let rule = one(&format!("path \"m/*\" {{ capabilities = {said} }}"));
            assert!(!rule.lacks_sudo() && rule.grants().is_empty());
            let moved = at(&rule, "m/a");
            assert_eq!(
                moved,
                format!("path \"m/a\" {{\n  capabilities = {said}\n}}\n")
            );
        }
    }

    #[test]
    fn rules_of_one_path_are_joined_in_one_policy() {
        let rule = one(
            "path \"m/a\" { capabilities = [\"read\"] }\npath \"/m/a\" { capabilities = [\"sudo\"] }",
        );
        assert!(rule.has("sudo") && !rule.lacks_sudo());
        let rule =
            one("path \"m/a\" { capabilities = [\"read\"] }\npath \"m/a\" { policy = \"deny\" }");
        assert!(rule.denies() && !rule.lacks_sudo());
    }

    #[test]
    fn older_spellings_are_read() {
        let rule = one("path \"m/a\" { policy = \"write\" }");
        assert_eq!(
            rule.grants(),
            ["create", "read", "update", "delete", "list"]
        );
        assert_eq!(
            at(&rule, "m/a"),
            "path \"m/a\" {\n  capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"]\n}\n"
        );
        assert!(!one("path \"m/a\" { policy = \"sudo\" }").lacks_sudo());
        let json = one("{\"path\": {\"m/a\": {\"capabilities\": [\"read\"]}}}");
        assert_eq!(
            at(&json, "m/a"),
            "path \"m/a\" {\n  capabilities = [\"read\", \"sudo\"]\n}\n"
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "path \"m/a\" {",
            "{\"path\"",
            "path \"m\" \"n\" {}",
            "path \"m\" { capabilities = \"read\" }",
            "path \"m\" { capabilities = [read] }",
            "path \"m\" { policy = \"everything\" }",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("").unwrap().is_empty());
        assert!(read("# nothing\nname = \"x\"\n").unwrap().is_empty());
    }
}
