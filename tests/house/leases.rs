//! Credentials as leases of the host.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::{Error, Result};
use vault_plugin_agentic::host::framework::request::{Kept, Operation};
use vault_plugin_agentic::host::framework::response::{Lease, Response};
use vault_plugin_agentic::model::time::Ttl;

use crate::world::{AGENT_ENTITY, World, body, request};

/// A leased credential, as the host gets it.
async fn leased(fields: Value) -> (World, String, Lease) {
    let world = World::with_target(json!({ "leased": true, "max_ttl": "5m" })).await;
    world.ok("targets/crm", fields).await;
    let (token, lease) = another(&world).await;
    (world, token, lease)
}

async fn another(world: &World) -> (String, Lease) {
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    let request = request(Operation::Update, "creds/issue", ask, Some(AGENT_ENTITY));
    let response = world.backend.handle(request).await.unwrap().unwrap();
    let token = body(&response)["credential"].as_str().unwrap().to_owned();
    (token, response.lease.unwrap())
}

async fn about(
    world: &World,
    operation: Operation,
    lease: &Lease,
    increment: u64,
) -> Result<Option<Response>> {
    let mut request = request(operation, "creds/issue", Value::Null, None);
    request.lease = Some(Kept {
        internal: lease.internal.clone(),
        issued_at: Some(lease.issued_at),
        increment: Ttl::from_secs(increment),
    });
    world.backend.handle(request).await
}

async fn renewed(world: &World, lease: &Lease, increment: u64) -> Lease {
    let response = about(world, Operation::Renew, lease, increment).await;
    response.unwrap().unwrap().lease.unwrap()
}

async fn revoke(world: &World, lease: &Lease) {
    about(world, Operation::Revoke, lease, 0).await.unwrap();
}

#[tokio::test]
async fn an_opaque_lease_is_renewed_up_to_the_longest_life() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque" })).await;
    assert_eq!((lease.ttl.as_secs(), lease.renewable), (60, true));
    assert_eq!(lease.max_ttl.as_secs(), 300);
    world.advance(50);
    let lease = renewed(&world, &lease, 0).await;
    assert_eq!(lease.ttl.as_secs(), 60);
    world.advance(50);
    assert!(world.is_active(&token).await, "it would have expired");
    let lease = renewed(&world, &lease, 120).await;
    assert_eq!(lease.ttl.as_secs(), 120);
    assert_eq!(lease.max_ttl.as_secs(), 220, "the host takes no more");
    world.advance(110);
    let lease = renewed(&world, &lease, 1000).await;
    assert_eq!(lease.ttl.as_secs(), 90, "to the longest life");
    world.advance(89);
    assert!(world.is_active(&token).await);
    world.advance(1);
    assert!(!world.is_active(&token).await);
    let over = about(&world, Operation::Renew, &lease, 0).await;
    assert!(matches!(over, Err(Error::Invalid(_))), "{over:?}");
}

#[tokio::test]
async fn a_renewal_is_decided_anew() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque" })).await;
    world
        .policy("crm", r#"rule "no" { effect = "deny" }"#)
        .await;
    let refused = about(&world, Operation::Renew, &lease, 0).await;
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    assert!(world.is_active(&token).await, "until it expires");
    world
        .policy(
            "crm",
            r#"rule "yes" { effect = "allow"; limits { max_ttl = "10s" } }"#,
        )
        .await;
    assert_eq!(renewed(&world, &lease, 0).await.ttl.as_secs(), 10);
    world.ok("agents/bot/suspend", json!({})).await;
    let refused = about(&world, Operation::Renew, &lease, 0).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_renewal_gives_no_use_back() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque", "max_uses": 2 })).await;
    world.redeem(&token).await;
    let lease = renewed(&world, &lease, 0).await;
    assert_eq!(world.introspect(&token).await["uses_left"], 1);
    world.redeem(&token).await;
    let refused = about(&world, Operation::Renew, &lease, 0).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_renewal_that_comes_late_gives_no_use_back() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque", "max_uses": 2 })).await;
    world.storage.transactional(false);
    world.storage.lose_replies(true);
    let lost = about(&world, Operation::Renew, &lease, 0).await;
    assert!(lost.is_err(), "{lost:?}");
    world.storage.lose_replies(false);
    let keys = world.storage.keys();
    let key = keys
        .iter()
        .find(|key| key.starts_with("credential/"))
        .unwrap();
    let late = world.storage.value(key).unwrap();
    world.redeem(&token).await;
    world.storage.set(key, &late);
    assert_eq!(world.introspect(&token).await["uses_left"], 1);
    world.redeem(&token).await;
    world.storage.set(key, &late);
    assert!(!world.is_active(&token).await, "it was used twice");
}

#[tokio::test]
async fn a_jwt_lease_cannot_be_renewed_and_ends_all_the_same() {
    for fields in [
        json!({}),
        json!({ "max_uses": 2 }),
        json!({ "status_list": true }),
    ] {
        let (world, token, lease) = leased(fields).await;
        assert!(!lease.renewable);
        assert_eq!(lease.ttl, lease.max_ttl);
        let refused = about(&world, Operation::Renew, &lease, 0).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        revoke(&world, &lease).await;
        assert!(!world.is_active(&token).await);
    }
}

#[tokio::test]
async fn an_end_is_an_end_however_often_it_is_told() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque" })).await;
    let (other, _) = another(&world).await;
    for _ in 0..3 {
        revoke(&world, &lease).await;
        assert!(!world.is_active(&token).await);
    }
    assert!(world.is_active(&other).await);
    let gone = about(&world, Operation::Renew, &lease, 0).await;
    assert!(matches!(gone, Err(Error::Invalid(_))), "{gone:?}");
}

#[tokio::test]
async fn an_unmount_never_waits_for_what_is_not_there() {
    let (world, token, lease) = leased(json!({ "credential_type": "opaque" })).await;
    let mut strange = lease.clone();
    for internal in [
        json!({}),
        json!({ "jti": 7 }),
        json!({ "jti": "x", "exp": 1, "record": true }),
    ] {
        strange.internal = internal.as_object().unwrap().clone();
        revoke(&world, &strange).await;
    }
    // A record that this release cannot read, and an agent that is gone.
    for key in world.storage.keys() {
        if key.starts_with("credential/") {
            world.storage.set(&key, b"garbage");
        }
    }
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    revoke(&world, &lease).await;
    assert!(!world.is_active(&token).await);
    assert!(
        !world
            .storage
            .keys()
            .iter()
            .any(|key| key.starts_with("credential/"))
    );
}

#[tokio::test]
async fn a_lease_that_ran_out_costs_one_write() {
    let (world, _, lease) = leased(json!({ "credential_type": "opaque" })).await;
    world.advance(60);
    let writes = world.storage.writes();
    revoke(&world, &lease).await;
    assert_eq!(world.storage.writes() - writes, 1);
    assert!(
        !world
            .storage
            .keys()
            .iter()
            .any(|key| { key.starts_with("credential/") || key.starts_with("revoked/") })
    );
}

#[tokio::test]
async fn a_revocation_that_fails_can_be_told_again() {
    for transactional in [true, false] {
        for position in 0..2 {
            let (world, token, lease) = leased(json!({ "credential_type": "opaque" })).await;
            world.storage.transactional(transactional);
            world.storage.fail_after(position);
            assert!(about(&world, Operation::Revoke, &lease, 0).await.is_err());
            world.storage.fail_writes(false);
            revoke(&world, &lease).await;
            assert!(!world.is_active(&token).await);
        }
    }
}
