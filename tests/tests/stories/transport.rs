//! How records travel: TLS, proxies, and the secrets that let them in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use telemetry_pocketbase::Secret;
use telemetry_pocketbase::setup::HOOK_FILE;
use telemetry_tests::{Daemon, Invocation, PocketBase, Signal, free_port, plant, run, skip};

use crate::shipping::{COLLECTION, Shipper, Site, Way, add_hook};
use crate::{OFTEN, SOON, job, with_jobs};

/// A certificate authority of our own, and a certificate from it for loopback.
struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    /// `None`, after it was said, without openssl.
    fn found() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let script = "exec >/dev/null 2>&1\n\
            new='req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n\
            openssl $new -x509 -days 2 -subj '/CN=our own' -keyout ca.key -out ca.pem\n\
            openssl $new -subj '/CN=localhost' -keyout server.key -out server.csr\n\
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' >names\n\
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
              -days 2 -extfile names -out server.pem\n";
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(directory.path());
        if run(command, "").code() != Some(0) {
            skip("openssl is missing, or makes no certificates");
            return None;
        }
        Some(Self { directory })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts TLS in front of a server.
    fn before(&self, url: &str) -> Option<Front> {
        let program = "import select, socket, ssl, sys, threading\n\
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
            context.load_cert_chain(sys.argv[1], sys.argv[2])\n\
            host, port = sys.argv[3].split(':')\n\
            def serve(client):\n\
            \x20   try:\n\
            \x20       client = context.wrap_socket(client, server_side=True)\n\
            \x20       server = socket.create_connection((host, int(port)))\n\
            \x20       while True:\n\
            \x20           ready = [client] if client.pending() else select.select([client, server], [], [])[0]\n\
            \x20           for one in ready:\n\
            \x20               data = one.recv(65536)\n\
            \x20               if not data: return\n\
            \x20               (server if one is client else client).sendall(data)\n\
            \x20   except OSError: pass\n\
            listener = socket.create_server(('127.0.0.1', 0))\n\
            print(listener.getsockname()[1], flush=True)\n\
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()\n";
        let address = url.strip_prefix("http://").unwrap();
        let front = Command::new("python3")
            .args(["-c", program])
            .args([self.file("server.pem"), self.file("server.key")])
            .arg(address)
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut process) = front else {
            skip("python3 is missing");
            return None;
        };
        let mut port = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut port).unwrap();
        let url = format!("https://localhost:{}", port.trim());
        Some(Front { process, url })
    }
}

/// Something that speaks TLS. Dropping kills it.
struct Front {
    process: Child,
    url: String,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn server_with_a_certificate_of_a_private_authority_is_trusted_if_that_is_configured() {
    let Some(site) = Site::with(Way::Bulk) else {
        return;
    };
    let Some(authority) = Authority::found() else {
        return;
    };
    let Some(front) = authority.before(&site.server.url()) else {
        return;
    };
    let mut config = site.config(&front.url);
    config.ca_file = Some(authority.file("ca.pem"));
    let mut shipper = Shipper::start(config.clone());
    shipper.log("encrypted", 250);
    shipper.wait_until_delivered();
    site.assert_stored_once(&shipper.ids());
    drop(shipper);

    config.ca_file = None;
    let mut stranger = Shipper::start(config);
    stranger.log("never sent", 10);
    stranger.wait_for_trouble("certificate");
    assert_eq!(stranger.stats().pending, 10);
    assert_eq!(site.server.count(COLLECTION, ""), 250);
}

/// A proxy that tunnels, and counts its tunnels.
fn tunnel() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let counted = counted.clone();
            // A tunnel that breaks is the client's affair.
            std::thread::spawn(move || dig(client, &counted));
        }
    });
    (url, count)
}

fn dig(mut client: TcpStream, count: &AtomicU32) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    assert_eq!(words.next(), Some("CONNECT"), "{head}");
    let server = TcpStream::connect(words.next().unwrap_or_default())?;
    count.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    std::io::copy(&mut &server, &mut client)?;
    Ok(())
}

#[test]
fn proxy_is_used_if_it_is_configured() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let (proxy, tunnels) = tunnel();
    let mut config = site.config(&site.server.url());
    config.proxy = Some(Secret::new(proxy));
    let mut shipper = Shipper::start(config);
    shipper.log("through the tunnel", 20);
    shipper.wait_until_delivered();
    assert!(tunnels.load(Ordering::SeqCst) > 0);
    site.assert_stored_once(&shipper.ids());
}

/// A daemon's configuration whose password is nowhere in it.
fn without_password(server: &PocketBase, place: &Path) -> String {
    plant(&place.join("source"), &[("a", "text")]);
    let uploads = format!(
        "\n[telemetry.pocketbase_logging]\nenabled = true\nflush_interval_secs = 1\nurl = \"{}\"\n\
         identity = \"daemon@example.com\"\n[daemon]\nshutdown_timeout_secs = 4\n",
        server.url()
    );
    with_jobs(free_port(), &(uploads + &job("documents", place, OFTEN)))
}

#[track_caller]
fn assert_uploads(server: &PocketBase, daemon: &Daemon) {
    daemon.wait_until(SOON, "records on the server", || {
        server.count(COLLECTION, "target = 'sync_daemon::daemon'") > 0
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());
}

#[test]
fn password_comes_from_the_environment_and_proxies_of_the_environment_are_not_used() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let config = without_password(&site.server, place.path());
    // Nobody listens there.
    let nowhere = "http://127.0.0.1:9";
    let daemon = Invocation::new(place.path())
        .env("SYNC_DAEMON_POCKETBASE_PASSWORD", site.password())
        .env("http_proxy", nowhere)
        .env("HTTP_PROXY", nowhere)
        .env("ALL_PROXY", nowhere)
        .start(&config);
    assert_uploads(&site.server, &daemon);
    let everything = daemon.stdout() + &daemon.stderr();
    assert!(!everything.contains(&site.password()));
}

#[test]
fn password_comes_from_a_credential_of_systemd() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let config = without_password(&site.server, place.path());
    let credentials = place.path().join("credentials");
    plant(&credentials, &[("pocketbase-password", &site.password())]);
    let daemon = Invocation::new(place.path())
        .env("CREDENTIALS_DIRECTORY", credentials)
        .start(&config);
    assert_uploads(&site.server, &daemon);
}

#[test]
fn hook_of_another_version_is_named_and_left_alone() {
    for (version, age) in [("0", "older"), ("99", "newer")] {
        let Some(server) = PocketBase::prepare() else {
            return;
        };
        let place = tempfile::tempdir().unwrap();
        add_hook(&server, place.path());
        let name = Path::new(HOOK_FILE).file_name().unwrap();
        let hook = server.hooks_dir().join(name);
        let text = std::fs::read_to_string(&hook).unwrap();
        let other = text.replace("version: 1,", &format!("version: {version},"));
        let other = other.replace("accepts: [1],", &format!("accepts: [{version}],"));
        assert!(other.contains(&format!("accepts: [{version}]")));
        std::fs::write(&hook, other).unwrap();
        server.serve();
        let site = Site::ready(server, place);
        let mut shipper = site.ship();
        shipper.log("another way", 20);
        shipper.wait_for_trouble(age);
        let stats = shipper.wait_until_settled();
        assert_eq!(stats.delivered, 20);
        assert!(site.proxy.exchanges("/api/sync-daemon/v1").is_empty());
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn password_of_the_superuser_is_asked_for_on_the_terminal_and_not_shown() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let config = without_password(&server, place.path());
    let config = config.replace("identity = ", "password_file = \"password\"\nidentity = ");
    plant(place.path(), &[("sync-daemon.toml", config.as_str())]);
    let terminal = "import os, pty, sys, termios\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
        seen = b''\n\
        while b'Password of' not in seen: seen += os.read(terminal, 1024)\n\
        while termios.tcgetattr(terminal)[3] & termios.ECHO: pass\n\
        os.write(terminal, os.environ['ANSWER'].encode() + b'\\n')\n\
        try:\n\
        \x20   while True:\n\
        \x20       data = os.read(terminal, 1024)\n\
        \x20       if not data: break\n\
        \x20       seen += data\n\
        except OSError: pass\n\
        sys.stdout.buffer.write(seen)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
    let mut command = Command::new("python3");
    command
        .args(["-c", terminal])
        .arg(env!("CARGO_BIN_EXE_sync-daemon-under-test"))
        .args(["pocketbase", "setup", "--admin", server.superuser()])
        .current_dir(place.path())
        .env("ANSWER", server.password());
    let shown = run(command, "").expect_success();
    assert!(shown.contains("created"), "{shown}");
    assert!(!shown.contains(server.password()), "{shown}");
}
