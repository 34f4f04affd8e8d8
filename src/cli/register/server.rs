//! The server's HTTP API, as far as an installation needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::TlsConfig;

use crate::cli::environment::Environment;
use crate::framework::trust::{self, SYSTEM_CERTIFICATES};

/// What an installation asks of a server.
pub(super) trait Api {
    /// Reads `path`, below `/v1/`.
    fn read(&self, path: &str) -> Result<Value, String>;
    /// Writes to `path`.
    fn write(&self, path: &str, body: &Value) -> Result<(), String>;
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
    ) -> Result<Value, String> {
        let mut response =
            result.map_err(|error| format!("{request}: {}: {error}", self.address))?;
        let status = response.status();
        let body = response
            .body_mut()
            .read_to_string()
            .map_err(|error| format!("{request}: {error}"))?;
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() {
            Ok(json)
        } else {
            let said = messages(&json).unwrap_or(body);
            Err(format!(
                "{request}: the server answered {}: {}",
                status.as_u16(),
                said.trim()
            ))
        }
    }
}

impl Api for Server {
    fn read(&self, path: &str) -> Result<Value, String> {
        let result = self.headers(self.agent.get(self.url(path))).call();
        self.answer(&format!("GET {path}"), result)
    }

    fn write(&self, path: &str, body: &Value) -> Result<(), String> {
        let result = self
            .headers(self.agent.post(self.url(path)))
            .send_json(body);
        self.answer(&format!("POST {path}"), result).map(drop)
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
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
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
}
