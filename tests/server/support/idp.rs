//! An identity provider of our own: keys, tokens, and a key set over TLS that
//! can be made to fail in many ways.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ring::rand::SystemRandom;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::jose::jws::{self, Header};
use vault_plugin_agentic::jose::signer::SigningKey;

/// One who signs.
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) kid: &'static str,
}

impl Signer {
    pub(crate) fn new(alg: Algorithm, kid: &'static str) -> Self {
        let key = SigningKey::generate(alg, &SystemRandom::new()).unwrap();
        Self { key, kid }
    }

    /// The public key, with its id.
    pub(crate) fn jwk(&self) -> Value {
        let key = self.key.public().clone().with_kid(self.kid).unwrap();
        key.to_value()
    }

    /// The public key in the shape of an issuer's `public_keys`.
    pub(crate) fn listed(&self) -> Value {
        json!({ "key_id": self.kid, "pem": self.key.public().to_value() })
    }

    /// A token of a kind with these claims.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        let mut header = Header::new(self.key.alg()).with_kid(self.kid);
        if !typ.is_empty() {
            header = header.with_typ(typ);
        }
        jws::encode(&header, claims.to_string().as_bytes(), &self.key).unwrap()
    }

    /// A token whose header is anything, signed all the same.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What is answered to whoever asks for the key set.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A document.
    Document(String),
    /// A status, and an address to go to instead.
    Status(u16, &'static str),
    /// A document without end.
    Endless,
    /// Nothing, for as long as the other side waits.
    Silence,
    /// What is no HTTP.
    Garbage,
}

/// The provider.
pub(crate) struct Idp {
    pub(crate) address: SocketAddr,
    /// The certificate of its authority, in PEM.
    pub(crate) authority: String,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Mutex<Answer>,
    hits: AtomicUsize,
    stopping: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

impl Idp {
    /// One that speaks TLS, and serves the keys of `signers`.
    pub(crate) fn start(signers: &[&Signer]) -> Self {
        Self::named(&["127.0.0.1", "localhost"], signers)
    }

    /// The same, whose certificate is for other names.
    pub(crate) fn named(names: &[&str], signers: &[&Signer]) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let host = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![host.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        Self::with(Some(Arc::new(config)), pem(authority.der()), signers)
    }

    /// One without TLS.
    pub(crate) fn plain(signers: &[&Signer]) -> Self {
        Self::with(None, String::new(), signers)
    }

    fn with(tls: Option<Arc<ServerConfig>>, authority: String, signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut idp = Self {
            address: listener.local_addr().unwrap(),
            authority,
            shared: Arc::new(Shared {
                answer: Mutex::new(Answer::Garbage),
                hits: AtomicUsize::new(0),
                stopping: AtomicBool::new(false),
                tls,
            }),
            acceptor: None,
        };
        idp.serve(signers);
        idp.accept(listener);
        idp
    }

    /// Where the key set is.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/keys", self.address)
    }

    /// Serves the keys of these from now on.
    pub(crate) fn serve(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answer(Answer::Document(json!({ "keys": keys }).to_string()));
    }

    /// Answers this from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub(crate) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// Nobody answers there any more.
    pub(crate) fn down(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        acceptor.join().unwrap();
        self.shared.stopping.store(false, Ordering::SeqCst);
    }

    /// It is there again, at the same address.
    pub(crate) fn up(&mut self) {
        self.accept(TcpListener::bind(self.address).unwrap());
    }

    fn accept(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.stopping.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // Whoever hangs up early is not our concern.
                std::thread::spawn(move || shared.greet(stream).ok());
            }
        }));
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.down();
    }
}

impl Shared {
    fn greet(&self, stream: TcpStream) -> std::io::Result<()> {
        match &self.tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                self.talk(&mut stream)?;
                stream.conn.send_close_notify();
                stream.flush()
            }
            None => self.talk(&mut { stream }),
        }
    }

    fn talk(&self, stream: &mut (impl std::io::Read + std::io::Write)) -> std::io::Result<()> {
        let mut asked = Vec::new();
        let mut buffer = [0; 1024];
        while !asked.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            asked.extend(buffer.iter().take(read));
            // Whoever begins with a handshake of TLS will not go on.
            if self.tls.is_none() && asked.first() == Some(&22) {
                break;
            }
        }
        self.hits.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Answer::Document(text) => stream.write_all(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                )
                .as_bytes(),
            ),
            Answer::Status(status, location) => stream.write_all(
                format!("HTTP/1.1 {status} No\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                    .as_bytes(),
            ),
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b' '; 4096])?;
                }
            }
            Answer::Silence => {
                while stream.read(&mut buffer)? > 0 {}
                Ok(())
            }
            Answer::Garbage => stream.write_all(b"220 hello\r\n\r\n"),
        }
    }
}

fn pem(der: &[u8]) -> String {
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(der)
    )
}
