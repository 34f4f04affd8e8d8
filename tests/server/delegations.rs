//! Delegation and consent in a real server: the whole story, who may not, what
//! happens at once, and what a killed process leaves.
#![expect(
    clippy::indexing_slicing,
    reason = "what is not in an answer fails the test"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Answer, Bao, Login, Mount, python};

/// The small example, with a human for whom the agent can act.
struct Story<'b> {
    example: Example<'b>,
    ada: Login,
}

impl<'b> Story<'b> {
    fn new(bao: &'b Bao) -> Self {
        let example = Example::secrets(bao);
        let ada = example.mount.human("ada");
        let baseline = format!("baselines/entity/{}", ada.entity_id);
        example
            .mount
            .write(&baseline, &json!({ "policies": "crm" }))
            .ok();
        Self { example, ada }
    }

    fn mount(&self) -> &Mount<'b> {
        &self.example.mount
    }

    fn wanted(&self) -> Value {
        json!({
            "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }],
            "purpose": "answer customers", "subject_entity_id": self.ada.entity_id,
        })
    }

    fn by(&self, who: &Login, path: &str, data: &Value) -> Answer {
        who.client.write(&self.mount().at(path), data)
    }

    fn ask(&self) -> String {
        let asked = self.by(&self.example.agent, "delegations/request", &self.wanted());
        asked.ok().text_at("/data/id")
    }

    fn delegation(&self) -> String {
        let id = self.ask();
        self.by(&self.ada, &format!("delegations/{id}/approve"), &json!({}))
            .ok();
        id
    }

    fn request(&self, delegation: &str) -> Value {
        let mut ask = self.example.ask();
        ask["delegation_id"] = json!(delegation);
        ask
    }

    fn issue(&self, delegation: &str) -> Answer {
        self.example.issue_with(&self.request(delegation))
    }

    /// A request with an approved consent.
    fn approved(&self, delegation: &str) -> Value {
        let mut ask = self.request(delegation);
        let waits = self.example.issue_with(&ask).ok();
        assert_eq!(*waits.data("outcome"), "consent_required", "{waits:?}");
        let consent = waits.text_at("/data/consent_id");
        self.by(
            &self.ada,
            &format!("consents/{consent}/approve"),
            &json!({}),
        )
        .ok();
        ask["consent_id"] = json!(consent);
        ask
    }

    fn per_request(&self) {
        self.mount()
            .write("targets/crm", &json!({ "consent": "per_request" }))
            .ok();
    }
}

#[test]
fn the_example_tells_the_whole_story() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/delegation/story.sh");
    // Twice: it can be run again on the same mount.
    for _ in 0..2 {
        let told = bao.example(Command::new(script), &mount.path);
        let said = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success(), "{told:?}");
        assert!(said.contains("That was the story"), "{said}");
    }
}

#[test]
fn others_verify_the_credential_and_the_receipt() {
    let bao = Bao::dev();
    let story = Story::new(bao);
    let id = story.ask();
    let approved = story
        .by(
            &story.ada,
            &format!("delegations/{id}/approve"),
            &json!({ "ttl": "1h" }),
        )
        .ok();
    let jwks = format!("{}/.well-known/jwks.json", story.example.issuer);
    let verify = |token: &str, audience: &str| {
        let args = [
            "--jwks",
            &jwks,
            "--token",
            token,
            "--audience",
            audience,
            "--issuer",
            &story.example.issuer,
        ];
        let output = python("verify_jwt.py", &args, "");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let agent = approved.text_at("/data/agent_id");
    let receipt = verify(&approved.text_at("/data/receipt"), &agent);
    assert_eq!(receipt["sub"], json!(story.ada.entity_id));
    assert_eq!(receipt["agentic"]["delegation_id"], json!(id));
    let issued = story.issue(&id).ok();
    let claims = verify(
        &issued.text_at("/data/credential"),
        "https://crm.example.com",
    );
    assert_eq!(claims["act"], json!({ "sub": agent }));
    assert_eq!(claims["sub"], json!(story.ada.entity_id));
    assert_eq!(claims["agentic"]["consent_id"], receipt["jti"]);
}

#[test]
fn everybody_who_may_not_is_refused() {
    let bao = Bao::dev();
    let story = Story::new(bao);
    let mount = story.mount();
    let id = story.ask();
    let eve = mount.human("eve");
    let second = mount.agent_login("second");
    let register = json!({ "name": "second", "entity_id": second.entity_id, "ceiling_policies": "crm", "owner": "same" });
    mount.write("agents/register", &register).ok();
    mount.write("agents/bot", &json!({ "owner": "same" })).ok();
    // An operator whose ACL lets it reach everything.
    let operator = bao.login("operator", "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"] }");
    let root = bao.client();
    for verb in ["approve", "deny"] {
        let path = format!("delegations/{id}/{verb}");
        let status = |answer: Answer| answer.status;
        assert_eq!(status(story.by(&eve, &path, &json!({}))), 404);
        assert_eq!(status(story.by(&operator, &path, &json!({}))), 404);
        // To refuse what is in one's own name is barred to nobody, and this is in
        // nobody's but hers.
        let agents = if verb == "deny" { 404 } else { 403 };
        let bot = &story.example.agent;
        assert_eq!(status(story.by(bot, &path, &json!({}))), agents);
        assert_eq!(status(story.by(&second, &path, &json!({}))), agents);
        assert_eq!(status(root.write(&mount.at(&path), &json!({}))), 403);
    }
    assert_eq!(
        eve.client
            .read(&mount.at(&format!("delegations/{id}")))
            .status,
        404
    );
    assert_eq!(
        second
            .client
            .read(&mount.at(&format!("delegations/{id}")))
            .status,
        404
    );
    assert_eq!(
        eve.client.list(&mount.at("delegations")).status,
        404,
        "an empty list"
    );
    story.ada.client.list(&mount.at("delegations")).ok();
    assert_eq!(
        eve.client.list(&mount.at("oversight/delegations")).status,
        403,
        "not in the ACL"
    );
    assert_eq!(
        second
            .client
            .list(&mount.at("oversight/delegations"))
            .status,
        403
    );
    assert_eq!(
        operator
            .client
            .list(&mount.at("oversight/delegations"))
            .ok()
            .keys(),
        std::slice::from_ref(&id)
    );
    story.issue(&id).refused(403);

    story
        .by(&story.ada, &format!("delegations/{id}/approve"), &json!({}))
        .ok();
    story.issue(&id).ok();
    let stolen = second
        .client
        .write(&mount.at("creds/issue"), &story.request(&id));
    stolen.refused(403);
    // The human is disabled after the approval, and enabled again.
    let entity = format!("identity/entity/id/{}", story.ada.entity_id);
    root.write(&entity, &json!({ "disabled": true })).ok();
    assert!(
        story
            .issue(&id)
            .refused(403)
            .errors()
            .contains("subject.disabled")
    );
    root.write(&entity, &json!({ "disabled": false })).ok();
    story.issue(&id).ok();
    // The agent is suspended in the middle.
    mount.write("agents/bot/suspend", &json!({})).ok();
    assert!(
        story
            .issue(&id)
            .refused(403)
            .errors()
            .contains("agent.suspended")
    );
    mount.write("agents/bot/resume", &json!({})).ok();
    story.issue(&id).ok();
    // What let the human do it is a group's, and the human leaves the group.
    let group = crate::support::unique("readers");
    root.write(
        &format!("identity/group/name/{group}"),
        &json!({ "member_entity_ids": [story.ada.entity_id] }),
    )
    .ok();
    mount
        .delete(&format!("baselines/entity/{}", story.ada.entity_id))
        .ok();
    mount
        .write(
            &format!("baselines/group/{group}"),
            &json!({ "policies": "crm" }),
        )
        .ok();
    story.issue(&id).ok();
    root.write(
        &format!("identity/group/name/{group}"),
        &json!({ "member_entity_ids": [] }),
    )
    .ok();
    assert!(
        story
            .issue(&id)
            .refused(403)
            .errors()
            .contains("baseline.none_given")
    );
    root.write(
        &format!("identity/group/name/{group}"),
        &json!({ "member_entity_ids": [story.ada.entity_id] }),
    )
    .ok();
    story.issue(&id).ok();
    // And an operator ends it.
    let end = mount.at(&format!("oversight/delegations/{id}/revoke"));
    operator
        .client
        .write(&end, &json!({ "reason": "incident" }))
        .ok();
    assert!(
        story
            .issue(&id)
            .refused(403)
            .errors()
            .contains("delegation.revoked")
    );
}

#[test]
fn one_consent_for_fifty_at_once_is_one_credential() {
    let bao = Bao::dev();
    let story = Story::new(bao);
    story.per_request();
    let id = story.delegation();
    let ask = story.approved(&id);
    let (issued, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let answer = story.example.issue_with(&ask);
                match answer.status {
                    200 => issued.fetch_add(1, Ordering::SeqCst),
                    403 if answer.errors().contains("consent.used") => {
                        used.fetch_add(1, Ordering::SeqCst)
                    }
                    _ => panic!("{answer:?}"),
                }
            });
        }
    });
    assert_eq!((issued.into_inner(), used.into_inner()), (1, 49));
}

#[test]
fn answers_at_once_are_one_answer() {
    let bao = Bao::dev();
    let story = Story::new(bao);
    story
        .mount()
        .write("config", &json!({ "consent_cooldown": 0 }))
        .ok();
    for _ in 0..8 {
        let id = story.ask();
        let answers: Vec<Answer> = thread::scope(|scope| {
            let tasks: Vec<_> = [
                ("approve", "1h"),
                ("deny", "0"),
                ("approve", "2h"),
                ("deny", "0"),
            ]
            .into_iter()
            .map(|(verb, ttl)| {
                let (story, path) = (&story, format!("delegations/{id}/{verb}"));
                let data = if verb == "approve" {
                    json!({ "ttl": ttl })
                } else {
                    json!({})
                };
                scope.spawn(move || story.by(&story.ada, &path, &data))
            })
            .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        let now = story
            .ada
            .client
            .read(&story.mount().at(&format!("delegations/{id}")))
            .ok();
        let mut won = BTreeMap::new();
        for answer in &answers {
            match answer.status {
                200 => *won.entry(answer.text_at("/data/answered_at")).or_insert(0) += 1,
                409 => {}
                _ => panic!("{answer:?}"),
            }
            assert!(answer.status != 200 || answer.data("status") == now.data("status"));
        }
        assert_eq!(won.len(), 1, "{answers:?}");
        assert_eq!(
            story.issue(&id).status == 200,
            *now.data("status") == "active"
        );
    }
}

#[test]
fn a_killed_process_leaves_nothing_by_halves_and_nothing_twice() {
    let bao = Bao::own();
    let story = Story::new(&bao);
    let policy = "rule \"all\" {\n  effect = \"allow\"\n}\n";
    story
        .mount()
        .write("policies/crm", &json!({ "policy": policy }))
        .ok();
    let plain = json!({ "actions": "read", "resources": "**" });
    story.mount().write("targets/plain", &plain).ok();
    let free = story.delegation();
    let counted = {
        let mut wanted = story.wanted();
        wanted["max_uses"] = json!(1_000_000);
        wanted["scope"] =
            json!([{ "type": "agentic:action", "targets": ["plain"], "actions": ["read"] }]);
        let asked = story
            .by(&story.example.agent, "delegations/request", &wanted)
            .ok();
        let id = asked.text_at("/data/id");
        story
            .by(&story.ada, &format!("delegations/{id}/approve"), &json!({}))
            .ok();
        id
    };
    story.per_request();

    let send = |who: &Login, path: &str, data: &Value| {
        let path = story.mount().at(path);
        let data = who.client.considered(&path, data);
        let answer = who.client.attempt("POST", &path, Some(&data)).ok();
        answer.filter(|answer| answer.status == 200)
    };
    // Consents, with how many credentials each of them gave.
    let spent = Mutex::new(Vec::new());
    // Delegations that were granted, and whether they were revoked.
    let granted = Mutex::new(Vec::new());
    let (uses, number, done) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    // What is asked and answered can be repeated, and must end: a question that
    // waits takes a place.
    let persist = |work: &dyn Fn() -> Option<Answer>| {
        while !done.load(Ordering::SeqCst) {
            if let Some(answer) = work() {
                return Some(answer);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    };
    let consume = || {
        let mut ask = story.request(&free);
        ask["resource"] = json!(format!(
            "customers/{}",
            number.fetch_add(1, Ordering::SeqCst)
        ));
        let waits = persist(&|| send(&story.example.agent, "creds/issue", &ask))?;
        let consent = waits.text_at("/data/consent_id");
        let approve = format!("consents/{consent}/approve");
        persist(&|| send(&story.ada, &approve, &json!({})))?;
        ask["consent_id"] = json!(consent);
        let credentials: usize = thread::scope(|scope| {
            let tries: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| send(&story.example.agent, "creds/issue", &ask)))
                .collect();
            let answers = tries.into_iter().map(|one| one.join().unwrap());
            answers.flatten().count()
        });
        spent.lock().unwrap().push((ask, credentials));
        Some(())
    };
    let grant = || {
        let grant = json!({ "agent": "bot", "scope": story.wanted()["scope"], "ttl": "1h" });
        let id = send(&story.ada, "delegations/grant", &grant)?.text_at("/data/id");
        let ended = send(&story.ada, &format!("delegations/{id}/revoke"), &json!({}));
        granted.lock().unwrap().push((id, ended.is_some()));
        // Not so many that there is no room for more.
        thread::sleep(Duration::from_millis(100));
        Some(())
    };
    let count = || {
        let ask = json!({ "target": "plain", "action": "read", "delegation_id": counted });
        send(&story.example.agent, "creds/issue", &ask)?;
        uses.fetch_add(1, Ordering::SeqCst);
        Some(())
    };
    let again = |work: &dyn Fn() -> Option<()>| {
        while !done.load(Ordering::SeqCst) {
            if work().is_none() {
                thread::sleep(Duration::from_millis(10));
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| again(&consume));
        scope.spawn(|| again(&consume));
        scope.spawn(|| again(&grant));
        scope.spawn(|| again(&count));
        for _ in 0..8 {
            let made = || (spent.lock().unwrap().len(), granted.lock().unwrap().len());
            let before = made();
            bao.wait("changes are made", |_| {
                let now = made();
                now.0 > before.0 + 2 && now.1 > before.1 + 1
            });
            bao.kill9_plugins();
            bao.wait("the next process serves", |bao| {
                bao.client().read(&story.mount().at("agents/bot")).status == 200
            });
        }
        done.store(true, Ordering::SeqCst);
    });

    for (ask, credentials) in spent.into_inner().unwrap() {
        // Killed between using it up and answering, it is lost; never two.
        let late = usize::from(story.example.issue_with(&ask).status == 200);
        assert!(credentials + late <= 1, "{ask}");
        let again = story.example.issue_with(&ask).refused(403);
        assert!(again.errors().contains("consent."), "{again:?}");
    }
    let read = |path: &str| story.ada.client.read(&story.mount().at(path)).ok();
    let counted = read(&format!("delegations/{counted}"));
    let counted = counted.data("uses").as_u64().unwrap();
    assert!(
        u64::try_from(uses.into_inner()).unwrap() <= counted,
        "what was given is counted"
    );
    for (id, ended) in granted.into_inner().unwrap() {
        let found = read(&format!("delegations/{id}"));
        let status = found.text_at("/data/status");
        assert!(
            status == "revoked" || (!ended && status == "active"),
            "{found:?}"
        );
        // Whole: with its consent and its receipt.
        let consent = read(&format!("consents/{}", found.text_at("/data/consent_id")));
        assert!(!consent.text_at("/data/receipt").is_empty());
    }
}

#[test]
fn delegations_outlive_a_restart_and_a_crash() {
    let mut bao = Bao::persistent();
    let (path, agent, ada, live, ended) = {
        let story = Story::new(&bao);
        let (live, ended) = (story.delegation(), {
            let id = story.ask();
            story
                .by(&story.ada, &format!("delegations/{id}/approve"), &json!({}))
                .ok();
            story
                .by(&story.ada, &format!("delegations/{id}/revoke"), &json!({}))
                .ok();
            id
        });
        (
            story.mount().path.clone(),
            story.example.agent.token.clone(),
            story.ada.token.clone(),
            live,
            ended,
        )
    };
    let check = |bao: &Bao| {
        bao.wait("the mount answers", |bao| {
            bao.client().read(&format!("{path}/agents/bot")).status == 200
        });
        let issue = |id: &str| {
            let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1", "delegation_id": id });
            bao.client_with(&agent)
                .write(&format!("{path}/creds/issue"), &ask)
        };
        issue(&live).ok();
        issue(&ended).refused(403);
        let own = bao.client_with(&ada).read(&format!("{path}/self")).ok();
        assert_eq!(*own.data("delegations"), json!([live]));
    };
    check(&bao);
    bao.restart();
    check(&bao);
    bao.crash();
    bao.start();
    bao.unseal();
    check(&bao);
}
