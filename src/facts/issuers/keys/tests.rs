use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use ring::rand::SystemRandom;
use serde_json::json;

use super::*;
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::issuer::JwtType;

/// Answers in turn; the last answer stays. Holds each until it is let go.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Result<Vec<u8>, FetchError>>>,
    fetches: AtomicUsize,
    gate: Semaphore,
}

#[async_trait]
impl KeySource for Script {
    async fn fetch(&self, _: &Issuer) -> Result<Vec<u8>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.acquire().await;
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().unwrap().clone()
        }
    }
}

struct Fixture {
    script: Arc<Script>,
    sets: KeySets,
    issuer: Issuer,
}

impl Fixture {
    fn new(answers: impl IntoIterator<Item = Result<Vec<u8>, FetchError>>) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.into_iter().collect()),
            fetches: AtomicUsize::new(0),
            gate: Semaphore::new(1000),
        });
        Self {
            sets: KeySets::new(Arc::clone(&script) as Arc<dyn KeySource>),
            script,
            issuer: issuer(),
        }
    }

    async fn has(&self, kid: &str, seconds: i64) -> Result<(), KeysError> {
        let header = Header::new(Algorithm::EdDsa).with_kid(kid);
        self.sets
            .of(&self.issuer, &header, &at(seconds))
            .await
            .map(drop)
    }

    fn fetches(&self) -> usize {
        self.script.fetches.load(Ordering::SeqCst)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds.saturating_add(1_000_000))
}

fn issuer() -> Issuer {
    Issuer {
        name: "idp".parse().unwrap(),
        id: IssuerId::mint(at(0), [0; 10]),
        revision: 1,
        issuer_id: "https://idp.example.com".to_owned(),
        enabled: true,
        use_jwks: true,
        jwks_uri: "https://idp.example.com/jwks".to_owned(),
        jwks_ca_pem: String::new(),
        allow_private_addresses: false,
        allow_plain_http: false,
        public_keys: vec![],
        audiences: vec![],
        user_claim: "sub".to_owned(),
        actor_claim: "client_id".to_owned(),
        unique_id_claim: String::new(),
        authorization_details_claim: "authorization_details".to_owned(),
        supported_algorithms: Algorithm::ALL.into(),
        jwt_type: JwtType::AccessToken,
        clock_skew_leeway: Ttl::ZERO,
        optional_authorization_details: true,
        revoked_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn key(kid: &str) -> Value {
    let key = SigningKey::generate(Algorithm::EdDsa, &SystemRandom::new()).unwrap();
    key.public().clone().with_kid(kid).unwrap().to_value()
}

fn set(kids: &[&str]) -> Result<Vec<u8>, FetchError> {
    let keys: Vec<Value> = kids.iter().map(|kid| key(kid)).collect();
    Ok(json!({ "keys": keys }).to_string().into_bytes())
}

const DOWN: Result<Vec<u8>, FetchError> = Err(FetchError::Connect);

fn unavailable(problem: impl Into<KeySetError>) -> Result<(), KeysError> {
    Err(KeysError::Unavailable(problem.into()))
}

#[tokio::test]
async fn a_set_is_fetched_once_and_again_when_it_is_old() {
    let fixture = Fixture::new([set(&["a"]), set(&["b"])]);
    for seconds in [0, 1, 299] {
        fixture.has("a", seconds).await.unwrap();
    }
    assert_eq!(fixture.fetches(), 1);
    assert_eq!(fixture.has("a", 300).await, Err(KeysError::NoneFits));
    assert_eq!(fixture.has("b", 300).await, Ok(()));
    assert_eq!(fixture.fetches(), 2);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_most_every_ten_seconds() {
    let fixture = Fixture::new([set(&["a"]), set(&["a"]), set(&["a", "b"])]);
    fixture.has("a", 0).await.unwrap();
    for number in 0..1000 {
        let kid = format!("x{number}");
        assert_eq!(fixture.has(&kid, 9).await, Err(KeysError::NoneFits));
    }
    assert_eq!(fixture.fetches(), 1);
    assert_eq!(fixture.has("b", 10).await, Err(KeysError::NoneFits));
    assert_eq!(fixture.has("b", 19).await, Err(KeysError::NoneFits));
    assert_eq!(fixture.fetches(), 2);
    assert_eq!(fixture.has("b", 20).await, Ok(()));
    assert_eq!(fixture.has("a", 21).await, Ok(()));
    assert_eq!(fixture.fetches(), 3);
}

#[tokio::test]
async fn the_last_good_set_is_kept_for_an_hour_and_no_longer() {
    let fixture = Fixture::new([set(&["a"]), DOWN]);
    fixture.has("a", 0).await.unwrap();
    for seconds in [300, 301, 310, 3599] {
        assert_eq!(fixture.has("a", seconds).await, Ok(()), "{seconds}");
    }
    assert_eq!(fixture.fetches(), 4);
    assert_eq!(
        fixture.has("a", 3600).await,
        unavailable(FetchError::Connect)
    );
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_believed_when_it_is_back() {
    let fixture = Fixture::new([DOWN, set(&["a"])]);
    assert_eq!(fixture.has("a", 0).await, unavailable(FetchError::Connect));
    assert_eq!(fixture.has("a", 9).await, unavailable(FetchError::Connect));
    assert_eq!(fixture.fetches(), 1);
    assert_eq!(fixture.has("a", 10).await, Ok(()));
}

#[tokio::test]
async fn a_change_of_the_definition_drops_what_was_fetched() {
    let mut fixture = Fixture::new([set(&["a"]), DOWN]);
    fixture.has("a", 0).await.unwrap();
    fixture.issuer.revision = 2;
    assert_eq!(fixture.has("a", 1).await, unavailable(FetchError::Connect));
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_nothing_fresh() {
    let fixture = Fixture::new([set(&["a"]), DOWN]);
    fixture.has("a", 0).await.unwrap();
    assert_eq!(fixture.has("a", -1).await, unavailable(FetchError::Connect));
}

#[tokio::test]
async fn one_fetch_serves_all_who_wait_and_not_too_many_wait() {
    let fixture = Fixture::new([set(&["a"])]);
    fixture.script.gate.forget_permits(1000);
    let asked = (0..50).map(|_| fixture.has("a", 0));
    let all = futures_join(asked.collect());
    let release = async {
        // Everybody has asked by now; nobody has an answer.
        tokio::task::yield_now().await;
        fixture.script.gate.add_permits(1);
    };
    let (answers, ()) = tokio::join!(all, release);
    assert_eq!(fixture.fetches(), 1);
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let busy = |answer: &&Result<(), KeysError>| **answer == Err(KeysError::Busy);
    // The one who fetches, and those who wait for it.
    assert_eq!(served, 1 + MAX_WAITING);
    assert_eq!(answers.iter().filter(busy).count(), 49 - MAX_WAITING);
}

#[tokio::test]
async fn nobody_waits_for_a_fetch_who_has_a_key() {
    let fixture = Fixture::new([set(&["a"]), set(&["a"])]);
    fixture.has("a", 0).await.unwrap();
    fixture.script.gate.forget_permits(1000);
    let slow = fixture.has("new", 300);
    let others = async {
        tokio::task::yield_now().await;
        assert_eq!(fixture.has("a", 301).await, Ok(()));
        fixture.script.gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(slow, others);
    assert_eq!(answer, Err(KeysError::NoneFits));
}

#[tokio::test]
async fn what_is_no_set_of_usable_keys_is_refused() {
    let weak = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a" });
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "AA", "kid": "a" });
    let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256" });
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", "y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", "kid": "a" });
    for bad in [weak, private, secret, off_curve] {
        let document = json!({ "keys": [bad] }).to_string().into_bytes();
        assert_eq!(parse(&document), Err(KeySetError::NoKey));
        let mixed = json!({ "keys": [bad, key("b")] }).to_string().into_bytes();
        assert_eq!(parse(&mixed).unwrap().len(), 1);
    }
    let many: Vec<Value> = (0..=MAX_KEYS).map(|_| json!({})).collect();
    for document in [
        json!({ "keys": many }).to_string(),
        json!({ "keys": {} }).to_string(),
        json!([]).to_string(),
        "{\"keys\":[],\"keys\":[]}".to_owned(),
        "<html>".to_owned(),
    ] {
        assert_eq!(parse(document.as_bytes()), Err(KeySetError::NotASet));
    }
}

#[tokio::test]
async fn an_operator_is_told_how_many_keys_there_are_or_why_none() {
    let fixture = Fixture::new([set(&["a", "b"]), DOWN]);
    assert_eq!(fixture.sets.check(&fixture.issuer, &at(0)).await, Ok(2));
    assert_eq!(fixture.sets.check(&fixture.issuer, &at(1)).await, Ok(2));
    assert_eq!(fixture.fetches(), 1);
    assert_eq!(
        fixture.sets.check(&fixture.issuer, &at(10)).await,
        Err(KeySetError::Fetch(FetchError::Connect))
    );
}

/// All of them, in the order of their making.
async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut done = true;
        for (future, answer) in &mut pending {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *answer = Some(ready),
                    std::task::Poll::Pending => done = false,
                }
            }
        }
        if done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending
        .into_iter()
        .filter_map(|(_, answer)| answer)
        .collect()
}
