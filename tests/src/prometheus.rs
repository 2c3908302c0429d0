//! A real Prometheus that scrapes what a story tells it to.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, free_port, get, tool};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A Prometheus server on loopback with its data in a temporary directory.
pub struct Prometheus {
    process: Process,
    port: u16,
    // Dropped last: the process writes into it.
    _directory: TempDir,
}

impl Prometheus {
    /// Starts a server with `config` as its `prometheus.yml` and waits until it is ready.
    ///
    /// `None` if Prometheus has not been fetched, as for [`tool`].
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn start(config: &str) -> Option<Self> {
        let program = tool("prometheus")?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config_file = directory.path().join("prometheus.yml");
        std::fs::write(&config_file, config).expect("room for the configuration");
        let port = free_port();

        let mut command = Command::new(program);
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--config.file")
            .arg(&config_file)
            .arg("--storage.tsdb.path")
            .arg(directory.path().join("data"))
            .current_dir(directory.path());
        let process = Process::start(command);
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        process.wait_until(START_LIMIT, "Prometheus is ready", || {
            get(&ready).is_ok_and(|answer| answer.status == 200)
        });
        Some(Self {
            process,
            port,
            _directory: directory,
        })
    }

    /// The server's address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the API returns as `data` for `path`, for example `/api/v1/query?query=up` (percent-encoded) or `/api/v1/targets`.
    ///
    /// # Panics
    /// If there is no answer, or it reports an error.
    #[track_caller]
    pub fn api(&self, path: &str) -> Value {
        let answer = match get(&(self.url() + path)) {
            Ok(answer) => answer.expect_status(200),
            Err(error) => panic!("{path}: {error}\n{}", self.process.stderr()),
        };
        answer.json()["data"].take()
    }

    /// The running program.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
