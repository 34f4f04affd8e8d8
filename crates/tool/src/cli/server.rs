//! The server's HTTP API, as far as the command line needs it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::TlsConfig;

use super::environment::Environment;
use crate::model::text::hex;
use agentic_net::trust::{self, SYSTEM_CERTIFICATES};

/// How many names one page of a list is asked for.
const PAGE: usize = 1_000;

/// What is asked of a server. Paths are below `/v1/`.
pub(super) trait Api {
    /// Reads `path`.
    fn read(&self, path: &str) -> Result<Value, Failure>;
    /// Writes to `path`.
    fn write(&self, path: &str, body: &Value) -> Result<Value, Failure>;
    /// Lists `path`, which ends with a slash, as far as the server shows it at
    /// once. `query` are names and values.
    fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure>;
}

/// Why a server did not do as it was asked.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// None, if it did not answer.
    status: Option<u16>,
    message: String,
}

impl Failure {
    /// Whether there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404)
    }

    /// One that a test makes up.
    #[cfg(test)]
    pub(super) fn of_status(status: u16, request: &str, said: &str) -> Self {
        Self {
            status: Some(status),
            message: format!("{request}: the server answered {status}: {said}"),
        }
    }

    fn silent(message: String) -> Self {
        Self {
            status: None,
            message,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.message
    }
}

/// Every name of a list of the plugin, with what the list says of it. A list
/// that is not there is empty.
pub(super) fn whole_list(server: &impl Api, path: &str) -> Result<Vec<(String, Value)>, Failure> {
    let limit = PAGE.to_string();
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut after = String::new();
    loop {
        let answer = match server.list(path, &[("after", &after), ("limit", &limit)]) {
            Err(failure) if failure.is_absent() => return Ok(found),
            answer => answer?,
        };
        let names = names(&answer);
        let is_last = names.len() < PAGE;
        let before = found.len();
        for name in names {
            let about = answer
                .pointer("/data/key_info")
                .and_then(|all| all.get(&name));
            if seen.insert(name.clone()) {
                after.clone_from(&name);
                found.push((name, about.cloned().unwrap_or_default()));
            }
        }
        // A server that takes no `after` shows the same again.
        if is_last || found.len() == before {
            return Ok(found);
        }
    }
}

/// The names in the answer to a list.
pub(super) fn names(answer: &Value) -> Vec<String> {
    let keys = answer.pointer("/data/keys").and_then(Value::as_array);
    let texts = keys.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// A name as a segment of a path.
pub(super) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    text
}

/// A server that is spoken to over HTTP.
pub(super) struct Server {
    agent: Agent,
    address: String,
    token: String,
    namespace: Option<String>,
}

impl Server {
    pub(super) fn connect(environment: &Environment) -> Result<Self, String> {
        let address = environment
            .address
            .as_deref()
            .ok_or("no server: set BAO_ADDR or VAULT_ADDR, as in http://127.0.0.1:8200")?
            .trim_end_matches('/');
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(format!(
                "the address `{address}` must begin with http:// or https://"
            ));
        }
        let token = environment
            .token
            .clone()
            .ok_or("no token: set BAO_TOKEN or VAULT_TOKEN, or log in first")?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)));
        if address.starts_with("https://") {
            config = config.tls_config(tls(environment.certificate_authority.as_deref())?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            address: address.to_owned(),
            token,
            namespace: environment.namespace.clone(),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.address)
    }

    fn headers<B>(&self, mut request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        request = request
            .header("X-Vault-Token", &self.token)
            .header("X-Vault-Request", "true");
        match &self.namespace {
            Some(namespace) => request.header("X-Vault-Namespace", namespace),
            None => request,
        }
    }

    fn answer(
        &self,
        request: &str,
        result: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Failure> {
        let mut response = result
            .map_err(|error| Failure::silent(format!("{request}: {}: {error}", self.address)))?;
        let status = response.status();
        let body = response
            .body_mut()
            .read_to_string()
            .map_err(|error| Failure::silent(format!("{request}: {error}")))?;
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() {
            Ok(json)
        } else {
            let said = messages(&json).unwrap_or(body);
            let words: Vec<&str> = said.split_whitespace().collect();
            let said = words.join(" ");
            let said = said.strip_prefix("1 error occurred: * ").unwrap_or(&said);
            Err(Failure {
                status: Some(status.as_u16()),
                message: format!("{request}: the server answered {}: {said}", status.as_u16(),),
            })
        }
    }
}

impl Api for Server {
    fn read(&self, path: &str) -> Result<Value, Failure> {
        let result = self.headers(self.agent.get(self.url(path))).call();
        self.answer(&format!("GET {path}"), result)
    }

    fn write(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let result = self
            .headers(self.agent.post(self.url(path)))
            .send_json(body);
        self.answer(&format!("POST {path}"), result)
    }

    fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut request = self.agent.get(self.url(path)).query("list", "true");
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.query(*name, *value);
        }
        let result = self.headers(request).call();
        self.answer(&format!("LIST {path}"), result)
    }
}

fn messages(answer: &Value) -> Option<String> {
    let errors = answer.get("errors")?.as_array()?;
    let texts: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn tls(authority: Option<&Path>) -> Result<TlsConfig, String> {
    let file = authority.map(Path::to_path_buf).or_else(|| {
        let mut usual = SYSTEM_CERTIFICATES.iter().map(PathBuf::from);
        usual.find(|file| file.exists())
    });
    let file = file.ok_or("no certificate authorities: set BAO_CACERT or VAULT_CACERT")?;
    let at = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read(&file).map_err(|error| at(&error))?;
    let certificates = trust::certificates(&text).map_err(|error| at(&error))?;
    if certificates.is_empty() {
        return Err(at(&"no certificate in it"));
    }
    Ok(trust::tls(certificates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::Fake;
    use serde_json::json;

    fn refusal(environment: &Environment) -> String {
        Server::connect(environment).err().unwrap_or_default()
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut environment = Environment::default();
        assert!(refusal(&environment).contains("BAO_ADDR or VAULT_ADDR"));
        environment.address = Some("127.0.0.1:8200".to_owned());
        assert!(refusal(&environment).contains("must begin with http://"));
        environment.address = Some("https://127.0.0.1:8200".to_owned());
        assert!(refusal(&environment).contains("BAO_TOKEN or VAULT_TOKEN"));
        environment.token = Some("token".to_owned());
        environment.certificate_authority = Some("/nowhere/ca.pem".into());
        assert!(refusal(&environment).starts_with("/nowhere/ca.pem: "));
    }

    #[test]
    fn the_servers_words_are_passed_on() {
        let answer = serde_json::json!({ "errors": ["permission denied", "no"] });
        assert_eq!(messages(&answer).as_deref(), Some("permission denied; no"));
        assert_eq!(messages(&Value::Null), None);
    }

    #[test]
    fn names_are_one_segment_of_an_address() {
        assert_eq!(segment("team-a_1.b"), "team-a_1.b");
        assert_eq!(segment("a b%?#ü"), "a%20b%25%3F%23%C3%BC");
    }

    #[test]
    fn a_list_is_read_to_its_end() {
        let mut server = Fake::default();
        let all: Vec<String> = (0..2_500).map(|number| format!("n{number:04}")).collect();
        let about = all
            .iter()
            .map(|name| (name.as_str(), json!({ "id": name })));
        server.lists("agentic/agents/", about);
        let found = whole_list(&server, "agentic/agents/").unwrap();
        let names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        assert_eq!(names, all.iter().collect::<Vec<_>>());
        assert_eq!(found[2_400].1["id"], "n2400");
        assert!(whole_list(&server, "agentic/targets/").unwrap().is_empty());
    }

    #[test]
    fn a_list_that_is_never_at_its_end_is_read_once() {
        let mut server = Fake::default();
        server.pages = false;
        let all: Vec<String> = (0..1_500).map(|number| format!("n{number:04}")).collect();
        server.lists("old/", all.iter().map(|name| (name.as_str(), Value::Null)));
        assert_eq!(whole_list(&server, "old/").unwrap().len(), 1_500);
    }
}
