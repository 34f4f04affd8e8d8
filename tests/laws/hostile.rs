//! Policies and conditions written to break, burn or surprise.

use proptest::prelude::*;
use serde_json::{Value, json};
use vault_plugin_agentic::engine::{compile, try_condition};
use vault_plugin_agentic::model::decision::AccessRequest;

use crate::world::{World, facts, request, world};

fn a_world() -> World {
    use proptest::strategy::ValueTree;
    world()
        .new_tree(&mut proptest::test_runner::TestRunner::deterministic())
        .unwrap()
        .current()
}

fn with_context(context: &Value) -> (World, AccessRequest) {
    let world = a_world();
    let mut request = request(&world);
    request.context = context.as_object().cloned().unwrap();
    (world, request)
}

fn holds(condition: &str, context: &Value) -> Result<bool, String> {
    let (world, request) = with_context(context);
    try_condition(condition, &request, &facts(&world))
}

#[test]
fn conditions_mean_what_they_say() {
    let context = json!({
        "amount": 499.5, "count": 3, "big": 9_007_199_254_740_993_u64, "name": "Straße", "flag": true, "nothing": null,
        "tags": ["a", "b"], "nested": { "deep": [{ "x": 1 }] },
    });
    for (condition, expected) in [
        ("request.context.amount <= 500", true),
        ("request.context.count * 2 + 1 == 7", true),
        ("request.context.count / 2 == 1.5", true),
        ("request.context.count % 2 == 1", true),
        ("-request.context.count < 0", true),
        ("request.context.big > 9007199254740992.0", true),
        ("request.context.flag && !false", true),
        ("false && request.context.missing", false),
        ("true || request.context.missing", true),
        (
            "request.context.flag ? request.context.count > 2 : false",
            true,
        ),
        ("contains(request.context.tags, \"a\")", true),
        ("contains(request.context, \"missing\")", false),
        ("contains(request.context.name, \"aß\")", true),
        ("length(request.context.name) == 6", true),
        ("lower(request.context.name) == \"straße\"", true),
        (
            "startswith(request.action, \"\") && endswith(\"abc\", \"bc\")",
            true,
        ),
        ("request.context.nested.deep[0].x == 1", true),
        ("request.context.nested[\"deep\"][0][\"x\"] == 1", true),
        ("request.context.tags == [\"a\", \"b\"]", true),
        ("contains(keys(request.context), \"flag\")", true),
        (
            "\"${request.context.count}-${request.context.name}\" == \"3-Straße\"",
            true,
        ),
        ("cidr_contains(\"10.0.0.0/8\", \"::ffff:10.1.2.3\")", true),
        (
            "time_between(env.time, \"2026-01-01T00:00:00Z\", \"2027-01-01T00:00:00Z\")",
            true,
        ),
        ("env.weekday == \"mon\" && env.hour >= 0", true),
        ("request.context.nothing == null", true),
        ("request.context.flag != null", true),
        (
            "agent.software.vendor == \"\" && length(agent.labels) == 0",
            true,
        ),
    ] {
        assert_eq!(holds(condition, &context), Ok(expected), "{condition}");
    }
}

#[test]
fn what_cannot_be_answered_is_an_error() {
    for condition in [
        "request.context.missing == 1",
        "request.context.text == 1",
        "request.context.text != 1",
        "request.context.text < \"z\"",
        "request.context.nothing != \"secret\"",
        "request.context.text",
        "request.context.text && true",
        "request.context.list[7] == 1",
        "request.context.list[0.5] == 1",
        "request.context.list[-1] == 1",
        "contains(request.context.list, \"x\")",
        "contains(1, 1)",
        "length(1) == 1",
        "1 / 0 == 1",
        "1 % 0 == 1",
        "1e308 * 10 > 1",
        "cidr_contains(\"10.0.0.0/8\", \"somewhere\")",
        "request.context == request.context",
    ] {
        let context = json!({ "text": "t", "nothing": null, "list": [1, 2] });
        assert!(holds(condition, &context).is_err(), "{condition}");
    }
}

#[test]
fn the_budget_ends_long_evaluations() {
    let long: Vec<u32> = (0..100_000).collect();
    assert_eq!(
        holds("contains(request.context.x, 99999)", &json!({ "x": long })),
        Err("it takes too many steps".into())
    );
    let text = "y".repeat(4_000_000);
    assert!(
        holds(
            "startswith(request.context.x, \"z\")",
            &json!({ "x": text })
        )
        .is_err()
    );
    let text = "y".repeat(5_000);
    assert!(
        holds(
            "lower(request.context.x) == \"z\"",
            &json!({ "x": text.clone() })
        )
        .is_err()
    );
    assert!(holds("\"${request.context.x}\" == \"z\"", &json!({ "x": text })).is_err());
}

#[test]
fn policies_that_cannot_be_right_are_refused_with_their_place() {
    let body = |inner: &str| format!("rule \"a\" {{\n  effect = \"allow\"\n  {inner}\n}}\n");
    let condition = |expression: &str| body(&format!("condition = {expression}"));
    for (text, line, part) in [
        (body("actoins = [\"read\"]"), 3, "did you mean `actions`?"),
        (body("targts {\n  }"), 3, "did you mean `target`?"),
        (body("actions = \"read\""), 3, "write [\"read\"]"),
        (body("actions = []"), 3, "the list is empty"),
        (body("actions = [\"a**\"]"), 3, "must be a whole segment"),
        (body("resources = [\"../x\"]"), 3, "`..` segment"),
        (
            body(&format!("targets = [\"{}\"]", "x".repeat(257))),
            3,
            "longer than 256 bytes",
        ),
        (
            body(
                "environment {\n    timezone = \"Europe/Berln\"\n    hours = \"08:00-18:00\"\n  }",
            ),
            4,
            "did you mean `Europe/Berlin`?",
        ),
        (
            body("environment {\n    hours = \"8-18\"\n  }"),
            4,
            "not a span of hours",
        ),
        (
            body("environment {\n    days = [\"monday\"]\n  }"),
            4,
            "not a day",
        ),
        (
            body("environment {\n    cidrs = [\"10.0.0.0/33\"]\n  }"),
            4,
            "not a network range",
        ),
        (
            body("environment {\n    not_after = \"tomorrow\"\n  }"),
            4,
            "not a time",
        ),
        (body("limits {\n    rate = \"many\"\n  }"), 4, "not a rate"),
        (body("limits {\n    max_uses = 0\n  }"), 4, "from 1 to"),
        (body("limits {\n    max_ttl = \"0s\"\n  }"), 4, "zero"),
        (
            body("agent {\n  }\n  agent {\n  }"),
            5,
            "has a block `agent` already",
        ),
        (body("effect = \"deny\""), 3, "redefined"),
        (
            format!("{}{}", body(""), body("")),
            5,
            "there is a rule `a` already",
        ),
        ("rule \"a\" {\n}\n".into(), 1, "no `effect`"),
        ("rule {\n  effect = \"allow\"\n}\n".into(), 1, "one name"),
        (
            "rule \"a\" {\n  effect = \"alow\"\n}\n".into(),
            2,
            "did you mean `allow`?",
        ),
        (
            "rule \"a\" {\n  effect = \"deny\"\n  consent = \"standing\"\n}\n".into(),
            3,
            "deny rule",
        ),
        (
            condition("[for x in request.context.x : x]"),
            3,
            "`for` is not part",
        ),
        (condition("request.context.x[*].y == 1"), 3, "`*` on a list"),
        (
            condition("request.contxt.x == 1"),
            3,
            "did you mean `context`?",
        ),
        (
            condition("requst.context.x == 1"),
            3,
            "did you mean `request`?",
        ),
        (
            condition("contain(subject.groups, \"x\")"),
            3,
            "did you mean `contains`?",
        ),
        (
            condition("contains(subject.groups)"),
            3,
            "takes 2 arguments",
        ),
        (
            condition("cidr_contains(\"10.0.0.0/99\", env.remote_addr)"),
            3,
            "not a network range",
        ),
        (
            condition("time_between(env.time, \"today\", \"tomorrow\")"),
            3,
            "not a time",
        ),
        (
            condition("\"%{ if true }x%{ endif }\" == \"x\""),
            3,
            "not part of the policy language",
        ),
        (condition("agent == agent"), 3, "name one of its attributes"),
        (condition("5"), 3, "must be true or false"),
        (
            condition(&format!("{}true{}", "(".repeat(33), ")".repeat(33))),
            3,
            "at most 32 levels",
        ),
        (
            condition(&format!("{}true", "!".repeat(33))),
            3,
            "at most 32 levels",
        ),
        (
            condition(&vec!["true"; 40].join(" && ")),
            3,
            "at most 32 levels",
        ),
    ] {
        let errors = compile(&"p".parse().unwrap(), &text)
            .map(|_| ())
            .expect_err(&text);
        let told = errors
            .iter()
            .any(|error| error.line == line && error.to_string().contains(part));
        assert!(told, "{text}\n{errors:?}");
    }
}

#[test]
fn every_error_is_found_at_once() {
    let text = "rule \"a\" {\n  efect = 1\n  actions = []\n  condition = nope(x)\n}\nrule \"b\" {\n  effect = 3\n}\nfoo {}\n";
    let errors = compile(&"p".parse().unwrap(), text).unwrap_err();
    assert_eq!(
        errors.iter().map(|error| error.line).collect::<Vec<_>>(),
        [1, 2, 3, 4, 7, 9]
    );
}

#[test]
fn policies_are_bounded() {
    let rules = |count: usize| {
        (0..count)
            .map(|n| format!("rule \"r{n}\" {{\n  effect = \"deny\"\n}}\n"))
            .collect::<String>()
    };
    let name = "p".parse().unwrap();
    assert!(compile(&name, &rules(256)).is_ok());
    assert!(compile(&name, &rules(257)).is_err());
    assert!(compile(&name, &format!("#{}", "x".repeat(64 * 1024))).is_err());
    let wide = format!(
        "rule \"a\" {{\n effect = \"allow\"\n actions = [{}]\n}}\n",
        "\"x\",".repeat(300)
    );
    assert!(compile(&name, &wide).is_err());
}

#[test]
fn rules_that_were_not_meant_are_warned_about() {
    for (text, part) in [
        (
            "rule \"a\" {\n  effect = \"allow\"\n}\n",
            "allows everything",
        ),
        (
            "rule \"a\" {\n  effect = \"allow\"\n  actions = [\"read\"]\n  condition = request.context.ok == true\n}\n",
            "asserts",
        ),
        (
            "rule \"a\" {\n  effect = \"deny\"\n  condition = contains(subject.groups, \"x\")\n}\n",
            "autonomous",
        ),
        (
            "rule \"a\" {\n  effect = \"deny\"\n}\nrule \"b\" {\n  effect = \"allow\"\n  actions = [\"x\"]\n}\n",
            "denies everything",
        ),
        (
            "rule \"a\" {\n  effect = \"deny\"\n  actions = [\"x\"]\n}\nrule \"b\" {\n  effect = \"deny\"\n  actions = [\"x\"]\n}\n",
            "the same as rule `a`",
        ),
    ] {
        let (_, warnings) = compile(&"p".parse().unwrap(), text).unwrap();
        assert!(
            warnings
                .iter()
                .any(|warning| warning.message.contains(part)),
            "{text}\n{warnings:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_compiler(text in "(rule|effect|\"a\"|=|\\{|\\}|\\[|\\]|\n| |\\(|\\)|condition|agent|\\$\\{|!|&&|\\.|é|<<E|[0-9]){0,60}") {
        let _ = compile(&"p".parse().unwrap(), &text);
        let (world, request) = with_context(&json!({}));
        let _ = try_condition(&text, &request, &facts(&world));
    }
}
