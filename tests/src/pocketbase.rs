//! A real PocketBase with a superuser, on a port that it keeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Answer, Process, free_port, get, request, run, tool};

/// A first start creates the database and takes a moment on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(30);
const SUPERUSER: &str = "root@example.com";
/// The most that the server returns in one page.
const PAGE: usize = 1000;

/// A PocketBase server on loopback with its data in a temporary directory.
///
/// It keeps address, data and superuser over [`PocketBase::kill`] and [`PocketBase::serve`]. Changes of collections are not
/// written to the migrations directory (`--automigrate=false`). May be shared between threads.
pub struct PocketBase {
    program: PathBuf,
    directory: TempDir,
    data: PathBuf,
    port: u16,
    password: String,
    process: Mutex<Option<Process>>,
    token: Mutex<Option<String>>,
}

impl PocketBase {
    /// A server that runs and is healthy.
    ///
    /// `None` if PocketBase has not been fetched, as for [`tool`].
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let server = Self::prepare()?;
        server.serve();
        Some(server)
    }

    /// A server that has its data, its superuser and its address, but does not run yet.
    ///
    /// `None` if PocketBase has not been fetched, as for [`tool`].
    ///
    /// # Panics
    /// If the superuser cannot be created.
    #[track_caller]
    pub fn prepare() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("pb_data");
        Self::prepare_with(tool("pocketbase")?, directory, data)
    }

    /// As [`PocketBase::prepare`], but the last version before 0.23: superusers are admins there, and migrations of another kind.
    ///
    /// # Panics
    /// As [`PocketBase::prepare`].
    #[track_caller]
    pub fn prepare_legacy() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("pb_data");
        Self::prepare_with(tool("pocketbase-0.22")?, directory, data)
    }

    /// As [`PocketBase::prepare`], with its data on a disk that the story has chosen.
    ///
    /// # Panics
    /// As [`PocketBase::prepare`].
    #[track_caller]
    pub fn prepare_on(disk: &Path) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::prepare_with(tool("pocketbase")?, directory, disk.join("pb_data"))
    }

    #[track_caller]
    fn prepare_with(program: PathBuf, directory: TempDir, data: PathBuf) -> Option<Self> {
        let server = Self {
            program,
            directory,
            data,
            port: free_port(),
            password: format!("{:016x}", fastrand::u64(..)),
            process: Mutex::new(None),
            token: Mutex::new(None),
        };
        for directory in [server.hooks_dir(), server.migrations_dir()] {
            std::fs::create_dir(directory).expect("a directory in our own");
        }
        if server.is_legacy() {
            let mut migrate = server.command("migrate");
            migrate.arg("up");
            run(migrate, "").expect_success();
        }
        let (noun, verb) = match server.is_legacy() {
            true => ("admin", "create"),
            false => ("superuser", "upsert"),
        };
        let mut create = server.command(noun);
        create.args([verb, SUPERUSER, &server.password]);
        run(create, "").expect_success();
        Some(server)
    }

    fn is_legacy(&self) -> bool {
        self.program.ends_with("pocketbase-0.22")
    }

    /// Starts the server, which must not be running, and waits until it is healthy.
    ///
    /// # Panics
    /// If it is not healthy within half a minute.
    #[track_caller]
    pub fn serve(&self) {
        let mut command = self.command("serve");
        command.arg(format!("--http=127.0.0.1:{}", self.port));
        let process = Process::start(command);
        let health = self.address("/api/health");
        process.wait_until(START_LIMIT, "PocketBase answers on /api/health", || {
            get(&health).is_ok_and(|answer| answer.status == 200)
        });
        let before = self.process().replace(process);
        assert!(before.is_none(), "this PocketBase runs already");
    }

    /// Kills the server with SIGKILL. Nothing happens if it is not running.
    pub fn kill(&self) {
        self.process().take();
    }

    /// Kills the server and starts it again at the same address with the same data.
    ///
    /// # Panics
    /// If it does not come back.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        self.serve();
    }

    /// Stops the server without its knowing (SIGSTOP): connections are still accepted, nothing answers.
    pub fn pause(&self) {
        if let Some(process) = &*self.process() {
            process.pause();
        }
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        if let Some(process) = &*self.process() {
            process.resume();
        }
    }

    /// The server's address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The superuser's e-mail address.
    pub fn superuser(&self) -> &str {
        SUPERUSER
    }

    /// The superuser's password, made up for this server.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where the server looks for `*.pb.js` files; read at its start.
    pub fn hooks_dir(&self) -> PathBuf {
        self.path("pb_hooks")
    }

    /// Where the server looks for migrations; applied at its start.
    pub fn migrations_dir(&self) -> PathBuf {
        self.path("pb_migrations")
    }

    /// The file of the database.
    pub fn database(&self) -> PathBuf {
        self.data.join("data.db")
    }

    /// What the server has written since its last start, stdout and stderr; empty if it is not running.
    pub fn output(&self) -> String {
        let process = self.process();
        let texts = process
            .as_ref()
            .map(|process| process.stdout() + &process.stderr());
        texts.unwrap_or_default()
    }

    /// Sends a GET request as superuser; `path` starts with `/api/`.
    ///
    /// # Panics
    /// If there is no answer; the same holds for the other methods.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    /// Sends a POST request as superuser.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, Some(body))
    }

    /// Sends a PATCH request as superuser.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.request("PATCH", path, Some(body))
    }

    /// Sends a DELETE request as superuser.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    /// All records of a collection that match `filter` (empty: all), in order of arrival.
    ///
    /// # Panics
    /// If the server refuses, for example because there is no such collection.
    #[track_caller]
    pub fn records(&self, collection: &str, filter: &str) -> Vec<Value> {
        let filter = percent_encoded(filter);
        let mut records = Vec::new();
        // The old version cannot sort by the order of arrival.
        let order = match self.is_legacy() {
            true => "created,id",
            false => "%40rowid",
        };
        for page in 1.. {
            let answer = self.get(&format!(
                "/api/collections/{collection}/records?skipTotal=1&sort={order}&perPage={PAGE}&page={page}&filter={filter}"
            ));
            let mut list = answer.expect_status(200).json();
            let Value::Array(items) = list["items"].take() else {
                panic!("a list without items: {list}");
            };
            let last = items.len() < PAGE;
            records.extend(items);
            if last {
                break;
            }
        }
        records
    }

    /// How many records of a collection match `filter` (empty: all).
    ///
    /// # Panics
    /// As [`PocketBase::records`].
    #[track_caller]
    pub fn count(&self, collection: &str, filter: &str) -> u64 {
        let filter = percent_encoded(filter);
        let path =
            format!("/api/collections/{collection}/records?perPage=1&fields=id&filter={filter}");
        let list = self.get(&path).expect_status(200).json();
        list["totalItems"].as_u64().expect("a list has a total")
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = self.token();
        let body = body.map(Value::to_string);
        match request(
            method,
            &self.address(path),
            &[("authorization", &token)],
            body,
        ) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}\n{}", self.output()),
        }
    }

    /// The superuser's token. It outlives restarts, since the data does.
    #[track_caller]
    fn token(&self) -> String {
        let mut token = lock(&self.token);
        token.get_or_insert_with(|| self.log_in()).clone()
    }

    #[track_caller]
    fn log_in(&self) -> String {
        let url = match self.is_legacy() {
            true => self.address("/api/admins/auth-with-password"),
            false => self.address("/api/collections/_superusers/auth-with-password"),
        };
        let credentials = json!({ "identity": SUPERUSER, "password": self.password });
        let answer = match request("POST", &url, &[], Some(credentials.to_string())) {
            Ok(answer) => answer.expect_status(200).json(),
            Err(error) => panic!("the superuser cannot log in: {error}\n{}", self.output()),
        };
        answer["token"]
            .as_str()
            .expect("a login returns a token")
            .to_owned()
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(subcommand).arg("--automigrate=false");
        for (option, path) in [
            ("--dir", self.data.clone()),
            ("--hooksDir", self.hooks_dir()),
            ("--migrationsDir", self.migrations_dir()),
        ] {
            command.arg(option).arg(path);
        }
        command.current_dir(self.directory.path());
        command
    }

    fn address(&self, path: &str) -> String {
        self.url() + path
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        lock(&self.process)
    }
}

/// A panic of another thread leaves the values as they are.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
