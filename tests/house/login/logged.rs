//! What the decision log says of logins.

use serde_json::json;
use vault_plugin_agentic::host::framework::request::Operation;

use super::Doors;

#[tokio::test]
async fn logins_renewals_and_refusals_are_logged() {
    let doors = Doors::new().await;
    let auth = doors.ask(&doors.assertion(json!({}))).await.unwrap();
    doors.renew(&auth).await.unwrap();
    // Refused before there is anything to decide.
    let elsewhere = doors.assertion(json!({ "aud": "https://elsewhere.example.com" }));
    doors.ask(&elsewhere).await.unwrap_err();
    // Refused by a decision.
    doors.world.ok("agents/bot/suspend", json!({})).await;
    let refused = doors
        .ask(&doors.assertion(json!({ "jti": "another" })))
        .await;
    refused.unwrap_err();
    let listed = doors
        .world
        .call(Operation::List, "decisions", json!({}), None)
        .await
        .unwrap()
        .unwrap();
    let ids = listed["keys"].as_array().unwrap().iter();
    let seen: Vec<_> = ids
        .map(|id| {
            let info = &listed["key_info"][id.as_str().unwrap()];
            ["kind", "outcome", "reason", "agent"].map(|key| info[key].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ["login", "deny", "agent.suspended", "bot"],
            ["agent.suspend", "allow", "", "bot"],
            ["login", "deny", "", ""],
            ["renew", "allow", "", "bot"],
            ["login", "allow", "", "bot"],
        ]
    );
    let id = listed["keys"][2].as_str().unwrap();
    let entry = doors.world.read(&format!("decisions/{id}")).await.unwrap();
    assert!(
        entry["problem"]
            .as_str()
            .unwrap()
            .starts_with("login refused (")
    );
    assert!(!entry.to_string().contains(&elsewhere));
}
