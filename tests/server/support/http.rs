//! One who speaks HTTP to a server.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

/// A caller with a token. The token may be empty.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    token: String,
    headers: Vec<(String, String)>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) text: String,
    /// The body, if it is JSON, else null.
    pub(crate) json: Value,
}

impl Client {
    pub(super) fn new(url: String, token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self {
            agent,
            url,
            token: token.to_owned(),
            headers: vec![],
        }
    }

    /// The same caller, sending one header more.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same caller, sending a login along with each request.
    pub(crate) fn inline(self, path: &str, login: &Value) -> Self {
        let fields = login.as_object().into_iter().flatten();
        fields.fold(
            self.with_header("X-Vault-Inline-Auth-Path", path),
            |client, (name, value)| {
                let parameter = json!({ "key": name, "value": value }).to_string();
                let header = format!("X-Vault-Inline-Auth-Parameter-{}", name.replace('_', "-"));
                client.with_header(&header, &URL_SAFE_NO_PAD.encode(parameter))
            },
        )
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn read(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// Writes as people do, see [`Self::considered`]. [`Self::send`] sends what it is
    /// given.
    pub(crate) fn write(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(&self.considered(path, body)))
    }

    /// What people add who read a question before they approve it, and give
    /// reasons where one is asked for.
    pub(crate) fn considered(&self, path: &str, body: &Value) -> Value {
        let add = |name: &str, value: Value, body: &mut Value| {
            if let Some(fields) = body.as_object_mut() {
                fields.insert(name.to_owned(), value);
            }
        };
        let mut body = body.clone();
        if let (Some(question), None) = (path.strip_suffix("/approve"), body.get("seen")) {
            let read = self.attempt("GET", question, None).ok();
            let seen = read.map(|read| read.data("seen").clone());
            let seen = seen.filter(|seen| seen.as_str().is_some_and(|seen| !seen.is_empty()));
            add(
                "seen",
                seen.unwrap_or_else(|| "unread-10".into()),
                &mut body,
            );
        }
        let ends = ["/resume", "/revoke", "/rotate", "/retire"];
        let others = ["/agents/", "/keys/", "/oversight/"];
        let wants_reason = ends.iter().any(|end| path.ends_with(end))
            && others.iter().any(|part| path.contains(part));
        if wants_reason && body.get("reason").is_none() {
            add("reason", "because".into(), &mut body);
        }
        body
    }

    pub(crate) fn list(&self, path: &str) -> Answer {
        self.send("LIST", path, None)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    /// Sends any method; the server must answer.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        match self.attempt(method, path, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Sends any method to a server that may not be there.
    pub(crate) fn attempt(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let text = body.map(Value::to_string).unwrap_or_default();
        self.exchange(method, path, "application/json", text)
    }

    /// Sends any bytes.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url));
        if !self.token.is_empty() {
            request = request.header("X-Vault-Token", &self.token);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = if body.is_empty() {
            self.agent.run(request.body(())?)?
        } else {
            request = request.header("Content-Type", content_type);
            self.agent.run(request.body(body)?)?
        };
        // The server's description of all mounts of a run is long.
        let body = response.body_mut().with_config().limit(256 << 20);
        let text = body.read_to_string()?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }
}

impl Answer {
    /// Itself, if the server did as it was asked.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{self:?}");
        self
    }

    /// Itself, if the server refused with this status.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A field of the answer's data; null if there is none.
    pub(crate) fn data(&self, field: &str) -> &Value {
        self.json
            .get("data")
            .and_then(|data| data.get(field))
            .unwrap_or(&Value::Null)
    }

    /// The keys of a list.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.texts(self.data("keys"))
    }

    /// Everything the server complained of, in one text.
    pub(crate) fn errors(&self) -> String {
        self.json
            .get("errors")
            .map(|errors| self.texts(errors).join("\n"))
            .unwrap_or_default()
    }

    /// What the server would rather have had otherwise.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.json
            .get("warnings")
            .map(|warnings| self.texts(warnings))
            .unwrap_or_default()
    }

    fn texts(&self, array: &Value) -> Vec<String> {
        let items = array.as_array().into_iter().flatten();
        items
            .map(|item| item.as_str().unwrap_or(&self.text).to_owned())
            .collect()
    }
}
