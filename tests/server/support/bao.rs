//! One server process, with everything it leaves behind in one directory.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Answer, Client};
use super::processes::{self, Process};
use super::tools;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PLUGIN: &str = "vault-plugin-agentic";
/// What a server that only reads says of its health.
pub(crate) const STANDBY: u16 = 429;
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It ends when this is dropped, and also when the process
/// that made it is killed: `tests/tools/serve.sh` sees to that.
pub(crate) struct Bao {
    keeper: Option<Keeper>,
    address: String,
    directory: PathBuf,
    token: String,
    unseal_key: Option<String>,
    /// Removes the directory, after the server has ended.
    _directory: Option<TempDir>,
}

/// The script that runs the server for as long as its stdin is open.
struct Keeper {
    script: Child,
    server: u32,
}

impl Bao {
    /// The server that all tests of this binary share: in memory, unsealed,
    /// with the plugin registered.
    pub(crate) fn dev() -> &'static Self {
        static SHARED: OnceLock<Bao> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_dev(false))
    }

    /// A server in memory of one's own, for tests that kill or seal.
    pub(crate) fn own() -> Self {
        Self::start_dev(true)
    }

    /// A server with storage on disk, initialised and unsealed.
    pub(crate) fn persistent() -> Self {
        let mut bao = Self::sealed("only");
        let made = bao
            .client()
            .write(
                "sys/init",
                &json!({ "secret_shares": 1, "secret_threshold": 1 }),
            )
            .ok();
        bao.token = made.text_at("/root_token");
        bao.unseal_key = Some(made.text_at("/keys_base64/0"));
        bao.unseal();
        bao.register();
        bao
    }

    /// A cluster of servers with storage on disk; the first one is active.
    pub(crate) fn cluster<const N: usize>() -> [Self; N] {
        let active = Self::persistent();
        let soon = json!({ "server_stabilization_time": "1s" });
        let autopilot = "sys/storage/raft/autopilot/configuration";
        active.client().write(autopilot, &soon).ok();
        let mut others = Vec::new();
        for number in 1..N {
            let mut node = Self::sealed(&format!("node-{number}"));
            node.token.clone_from(&active.token);
            node.unseal_key.clone_from(&active.unseal_key);
            let join = json!({ "leader_api_addr": active.url() });
            node.client().write("sys/storage/raft/join", &join).ok();
            let key = json!({ "key": node.unseal_key });
            node.client().write("sys/unseal", &key).ok();
            node.wait("a standby", |node| node.health() == STANDBY);
            others.push(node);
        }
        // Until they vote, none of them can take over.
        active.wait("led by a vote of all", |active| {
            let peers = active.client().read("sys/storage/raft/configuration").ok();
            let peers = peers.data("config")["servers"].as_array().cloned();
            peers.is_some_and(|peers| peers.iter().all(|peer| peer["voter"] == true))
        });
        let mut nodes = vec![active];
        nodes.append(&mut others);
        nodes
            .try_into()
            .unwrap_or_else(|_| panic!("a cluster has a node"))
    }

    /// A server with storage on disk that holds nothing yet.
    fn sealed(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let cluster = free_address();
        prepare(
            directory.path(),
            &format!(
                "storage \"raft\" {{\n  path = {data:?}\n  node_id = {name:?}\n  \
                 performance_multiplier = 1\n}}\n\
                 listener \"tcp\" {{\n  address = {address:?}\n  \
                 cluster_address = {cluster:?}\n  tls_disable = true\n}}\n\
                 disable_mlock = true\n\
                 api_addr = \"http://{address}\"\ncluster_addr = \"http://{cluster}\"\n"
            ),
        );
        let mut bao = Self {
            keeper: None,
            address,
            directory: directory.path().to_owned(),
            token: String::new(),
            unseal_key: None,
            _directory: Some(directory),
        };
        bao.start();
        bao
    }

    fn start_dev(owned: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path(), "");
        let mut bao = Self {
            keeper: None,
            address: free_address(),
            directory: directory.path().to_owned(),
            token: "root".to_owned(),
            unseal_key: None,
            _directory: None,
        };
        if owned {
            bao._directory = Some(directory);
        } else {
            // A static is never dropped, so the script removes it.
            let _ = directory.keep();
        }
        bao.start();
        bao.wait("unsealed", |bao| bao.health() == 200);
        bao.register();
        bao
    }

    /// Starts the server; it may still be sealed when this returns.
    pub(crate) fn start(&mut self) {
        assert!(self.keeper.is_none(), "the server is running");
        let scratch = if self._directory.is_none() {
            self.directory.as_os_str()
        } else {
            "".as_ref()
        };
        let mut command = Command::new(Path::new(ROOT).join("tests/tools/serve.sh"));
        command
            .arg(self.directory.join("server.log"))
            .arg(scratch)
            .arg(tools::bao())
            .args(["server", "-log-level=debug"])
            .arg(format!(
                "-config={}",
                self.directory.join("bao.hcl").display()
            ));
        if !self.directory.join("data").exists() {
            command
                .args(["-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
                .arg(format!("-dev-listen-address={}", self.address));
        }
        let mut script = command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.directory)
            .env("TMPDIR", self.sockets())
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(script.stdout.take().unwrap())
            .read_line(&mut pid)
            .unwrap();
        self.keeper = Some(Keeper {
            server: pid.trim().parse().unwrap(),
            script,
        });
        self.wait("listening", |bao| bao.health() != 0);
    }

    /// Ends the server as an operator would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.script.stdin.take());
            let _ = keeper.script.wait();
        }
    }

    /// Ends the server as the machine would.
    pub(crate) fn crash(&mut self) {
        processes::kill9(self.pid());
        self.stop();
    }

    /// Stops, starts and unseals.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
        self.unseal();
    }

    /// Seals the server.
    pub(crate) fn seal(&self) {
        self.client().write("sys/seal", &json!({})).ok();
        self.wait("sealed", |bao| bao.health() == 503);
    }

    /// Unseals a server with storage on disk.
    pub(crate) fn unseal(&self) {
        let key = self.unseal_key.as_ref().unwrap();
        self.client()
            .write("sys/unseal", &json!({ "key": key }))
            .ok();
        self.wait("unsealed and active", |bao| bao.health() == 200);
    }

    /// As `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Speaks with the root token.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.url(), &self.token)
    }

    /// Speaks with another token, or with an empty one.
    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(self.url(), token)
    }

    /// Runs the server's command line with the root token.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        self.run(Command::new(tools::bao()).args(args))
    }

    /// Runs the server's command line with another token.
    pub(crate) fn cli_as(&self, token: &str, args: &[&str]) -> Output {
        self.run_with(token, Command::new(tools::bao()).args(args))
    }

    /// Runs a program that finds this server in its environment.
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        self.run_with(&self.token, command)
    }

    /// The same, with another token in its environment.
    pub(crate) fn run_with(&self, token: &str, command: &mut Command) -> Output {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.directory)
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", token)
            .env("VAULT_ADDR", self.url())
            .env("VAULT_TOKEN", token)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs one of the examples on a mount, with the root token.
    pub(crate) fn example(&self, mut script: Command, mount: &str) -> Output {
        let commands = format!(
            "BAO='{}' PYTHON='{}' AUDIT_LOG='{}' MOUNT='{mount}' exec \"$0\"",
            tools::bao().display(),
            tools::venv_python().display(),
            self.directory.join("audit.log").display(),
        );
        let program = script.get_program().to_owned();
        script = Command::new("/bin/sh");
        self.run(script.arg("-c").arg(commands).arg(program))
    }

    /// What people run, as a command. Cargo builds no other package's binary for a
    /// test, so it is built here.
    pub(crate) fn tool_command() -> Command {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let tool = BUILT.get_or_init(|| {
            let plugin = Path::new(env!("CARGO_BIN_EXE_vault-plugin-agentic"));
            let profile = if cfg!(debug_assertions) {
                "dev"
            } else {
                "release"
            };
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "--package", "agentic"])
                .args(["--profile", profile])
                .current_dir(ROOT)
                .status()
                .unwrap();
            assert!(built.success());
            plugin.with_file_name("agentic")
        });
        Command::new(tool)
    }

    /// The plugin's own binary as a command.
    pub(crate) fn plugin_command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_vault-plugin-agentic"))
    }

    /// Where the server finds plugins.
    pub(crate) fn plugin_directory(&self) -> PathBuf {
        self.directory.join("plugins")
    }

    /// What the server wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("server.log")).unwrap_or_default()
    }

    /// The audit log, whole lines only.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("audit.log")).unwrap();
        let lines = text.split_inclusive('\n');
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The entries of the audit log about a path.
    pub(crate) fn audit_of(&self, path: &str) -> Vec<Value> {
        let mut entries = self.audit();
        entries.retain(|entry| entry.pointer("/request/path") == Some(&json!(path)));
        entries
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.keeper.as_ref().unwrap().server
    }

    /// The plugin processes of this server, its own children or not.
    pub(crate) fn plugins(&self) -> Vec<Process> {
        processes::running_from(&self.plugin_directory())
    }

    /// Plugin processes whose server is gone.
    pub(crate) fn orphans(&self) -> Vec<Process> {
        let server = self.keeper.as_ref().map(|keeper| keeper.server);
        let mut plugins = self.plugins();
        plugins.retain(|process| Some(process.parent) != server);
        plugins
    }

    /// Kills every plugin process of this server, without a word.
    pub(crate) fn kill9_plugins(&self) -> usize {
        let plugins = self.plugins();
        for plugin in &plugins {
            processes::kill9(plugin.pid);
        }
        plugins.len()
    }

    /// Socket files that nobody removed.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sockets()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits for something that takes a moment.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            let ended = self
                .keeper
                .as_ref()
                .is_none_or(|keeper| processes::has_ended(keeper.server));
            assert!(
                !ended && begin.elapsed() < PATIENCE,
                "the server is not {what} (ended: {ended}):\n{}",
                self.log()
            );
            sleep(Duration::from_millis(25));
        }
    }

    /// 200 if the server is ready and active, 429 if it is a standby, 501 if not initialised, 503 if sealed, 0 if
    /// it does not answer.
    pub(crate) fn health(&self) -> u16 {
        self.client_with("")
            .attempt("GET", "sys/health", None)
            .map_or(0, |answer| answer.status)
    }

    /// Puts both types of the plugin into the catalog. A server that takes no audit
    /// devices from its configuration is given one.
    fn register(&self) {
        let devices = self.client().read("sys/audit");
        if devices.data("file/").is_null() {
            let path = self.directory.join("audit.log");
            let device = json!({ "type": "file", "options": { "file_path": path } });
            self.client().write("sys/audit/file", &device).ok();
        }
        let file = self.plugin_directory().join(PLUGIN);
        let sha256 = processes::sha256(&file);
        for (catalog, mount_type) in [("secret", "secrets"), ("auth", "auth")] {
            let entry = json!({
                "sha256": sha256,
                "command": PLUGIN,
                "args": [format!("--type={mount_type}")],
            });
            let path = format!("sys/plugins/catalog/{catalog}/agentic");
            self.client().write(&path, &entry).ok();
        }
    }

    fn sockets(&self) -> PathBuf {
        self.directory.join("tmp")
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Answer {
    /// The text at a JSON pointer, which must be there.
    #[track_caller]
    pub(crate) fn text_at(&self, pointer: &str) -> String {
        let value = self.json.pointer(pointer).and_then(Value::as_str);
        value
            .unwrap_or_else(|| panic!("no text at {pointer}: {self:?}"))
            .to_owned()
    }
}

/// Lays out the directory of a server.
fn prepare(directory: &Path, config: &str) {
    let plugins = directory.join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::create_dir(directory.join("tmp")).unwrap();
    install(&plugins.join(PLUGIN));
    // All nodes of a cluster must name it alike.
    let audit = Path::new("audit.log");
    let config = format!(
        "{config}plugin_directory = {plugins:?}\nraw_storage_endpoint = true\n\
         audit \"file\" \"file\" {{\n  options {{\n    file_path = {audit:?}\n  }}\n}}\n"
    );
    fs::write(directory.join("bao.hcl"), config).unwrap();
    File::create(directory.join("server.log")).unwrap();
}

/// Copies the plugin, stripped where that is possible: the server hashes the
/// file at every start.
fn install(copy: &Path) {
    let original = env!("CARGO_BIN_EXE_vault-plugin-agentic");
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(copy)
        .arg(original)
        .stderr(Stdio::null())
        .status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(original, copy).unwrap();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
