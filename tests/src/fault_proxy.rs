//! A proxy on loopback that does to requests what networks and proxies do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A request that is held is dropped after this long, whatever the client does.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It reaches the server, and its answer the client.
    None,
    /// The connection is reset before anything reaches the server.
    Reset,
    /// Half of the body reaches the server, then both connections end.
    CutRequest,
    /// It reaches the server; the connection ends without an answer.
    LoseAnswer,
    /// It reaches the server; half of the answer comes.
    CutAnswer,
    /// It reaches the server; the answer never comes, and the connection stays.
    Stall,
    /// It reaches the server after the client has given up waiting.
    Late,
    /// It reaches the server twice; the client gets the second answer.
    Twice,
    /// The last byte of its body is another one.
    Spoil,
    /// It never reaches the server; these bytes are the answer.
    Answer(String),
}

/// A request that the proxy has seen.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The path with its query.
    pub path: String,
    /// The body of the request.
    pub body: String,
    /// What became of it.
    pub fault: Fault,
    /// What the server answered, whether or not that reached the client.
    pub status: Option<u16>,
}

type Plan = Box<dyn FnMut(&str) -> Fault + Send>;

struct Shared {
    server: SocketAddr,
    plan: Mutex<Plan>,
    exchanges: Mutex<Vec<Exchange>>,
    is_over: AtomicBool,
}

/// A running proxy in front of one server. Dropping ends it.
///
/// It understands what this project sends: HTTP/1.1 with `Content-Length`. Each request goes to the server on a connection of its
/// own, so that the server may be restarted behind it; the client may keep its connection.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl FaultProxy {
    /// A proxy that lets everything through, in front of the server at this URL.
    ///
    /// # Panics
    /// If the URL is not `http://ADDRESS:PORT`, or nothing can be listened on.
    #[track_caller]
    pub fn before(url: &str) -> Self {
        let server = url.strip_prefix("http://").and_then(|a| a.parse().ok());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            server: server.expect("http://ADDRESS:PORT"),
            plan: Mutex::new(Box::new(|_| Fault::None)),
            exchanges: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.is_over.load(Ordering::Acquire) {
                    return;
                }
                let Ok(client) = client else { continue };
                let shared = accepting.clone();
                // A connection ends with the client, or with an error that is the fault wanted.
                thread::spawn(move || shared.serve(&client));
            }
        });
        Self { address, shared }
    }

    /// The proxy's address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decides the fate of each request from now on, by its path.
    pub fn set(&self, plan: impl FnMut(&str) -> Fault + Send + 'static) {
        *lock(&self.shared.plan) = Box::new(plan);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.set(|_| Fault::None);
    }

    /// What it has seen of paths that contain `part`, in order.
    pub fn exchanges(&self, part: &str) -> Vec<Exchange> {
        let all = lock(&self.shared.exchanges);
        let fits = |exchange: &&Exchange| exchange.path.contains(part);
        all.iter().filter(fits).cloned().collect()
    }

    /// What the server has answered to requests whose paths contain `part`, in order.
    pub fn statuses(&self, part: &str) -> Vec<u16> {
        let exchanges = self.exchanges(part).into_iter();
        exchanges.filter_map(|exchange| exchange.status).collect()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the listener; nobody there is as good.
        let _ = TcpStream::connect(self.address);
    }
}

/// A request, or the head of one.
struct Request {
    path: String,
    head: Vec<u8>,
    length: usize,
}

impl Shared {
    /// `None` when the connection is over.
    fn serve(&self, client: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(client);
        let mut writer = client;
        loop {
            let request = read_head(&mut reader)?;
            if self.is_over.load(Ordering::Acquire) {
                return None;
            }
            let fault = (lock(&self.plan))(&request.path);
            if fault == Fault::Reset {
                self.note(&request, &[], &fault, None);
                // Closing with something unread makes the system send a reset.
                return None;
            }
            let mut body = vec![0; request.length];
            reader.read_exact(&mut body).ok()?;
            let answer = self.answer(client, &request, &mut body, &fault);
            let status = answer.as_deref().and_then(status_of);
            self.note(&request, &body, &fault, status);
            let answer = answer?;
            match fault {
                Fault::LoseAnswer | Fault::CutRequest | Fault::Late => return None,
                Fault::Stall => {
                    wait_for_the_end(client);
                    return None;
                }
                Fault::CutAnswer => {
                    writer.write_all(&answer[..answer.len() / 2]).ok()?;
                    return None;
                }
                Fault::Answer(_) => {
                    writer.write_all(&answer).ok()?;
                    return None;
                }
                _ => writer.write_all(&answer).ok()?,
            }
        }
    }

    fn answer(
        &self,
        client: &TcpStream,
        request: &Request,
        body: &mut [u8],
        fault: &Fault,
    ) -> Option<Vec<u8>> {
        match fault {
            Fault::Answer(answer) => return Some(answer.clone().into_bytes()),
            Fault::CutRequest => {
                let half = &body[..body.len() / 2];
                self.forward(request, half);
                return Some(Vec::new());
            }
            Fault::Late => wait_for_the_end(client),
            Fault::Twice => {
                self.forward(request, body)?;
            }
            Fault::Spoil => *body.last_mut()? = b'!',
            _ => {}
        }
        self.forward(request, body)
    }

    /// Sends to the server and reads all that it says.
    fn forward(&self, request: &Request, body: &[u8]) -> Option<Vec<u8>> {
        let mut server = TcpStream::connect(self.server).ok()?;
        server.write_all(&[&request.head, body].concat()).ok()?;
        if body.len() < request.length {
            server.shutdown(Shutdown::Both).ok()?;
            return None;
        }
        let mut answer = Vec::new();
        // A server that refuses without reading the body resets the connection behind its answer.
        let read = server.read_to_end(&mut answer);
        if read.is_err() && answer.is_empty() {
            return None;
        }
        // The connection to the client goes on.
        let text = String::from_utf8_lossy(&answer).replacen("Connection: close\r\n", "", 1);
        Some(text.into_bytes())
    }

    fn note(&self, request: &Request, body: &[u8], fault: &Fault, status: Option<u16>) {
        lock(&self.exchanges).push(Exchange {
            path: request.path.clone(),
            body: String::from_utf8_lossy(body).into_owned(),
            fault: fault.clone(),
            status,
        });
    }
}

/// Reads up to the body, and has the server close its connection after the answer.
fn read_head(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    head.push_str("Connection: close\r\n\r\n");
    Some(Request {
        path,
        head: head.into_bytes(),
        length,
    })
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.get(..12)?).ok()?;
    line.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// Waits until the client has given up.
fn wait_for_the_end(client: &TcpStream) {
    let mut client = client;
    let _ = client.set_read_timeout(Some(LONGEST_HOLD));
    // Nothing comes but the end: a client sends no second request before the first is answered.
    let _ = client.read(&mut [0]);
    let _ = client.set_read_timeout(None);
}

/// A panic of another thread leaves the values as they are.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultProxy};
    use crate::{get, request};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A server that answers each request with its number, and the number of requests.
    fn counting() -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap();
                if !bytes[..read].ends_with(b"x") && !bytes[..read].starts_with(b"GET") {
                    continue;
                }
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{number}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (url, count)
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let (server, count) = counting();
        let proxy = FaultProxy::before(&server);
        let post = || request("POST", &(proxy.url() + "/a"), &[], Some("yx".to_owned()));
        assert_eq!(get(&(proxy.url() + "/a")).unwrap().body, "1");
        proxy.set(|_| Fault::Twice);
        assert_eq!(post().unwrap().body, "3");
        for (fault, reaches) in [
            (Fault::Reset, 0),
            (Fault::CutRequest, 0),
            (Fault::LoseAnswer, 1),
            (Fault::CutAnswer, 1),
        ] {
            let before = count.load(Ordering::SeqCst);
            let planned = fault.clone();
            proxy.set(move |_| planned.clone());
            assert!(post().is_err(), "{fault:?}");
            assert_eq!(count.load(Ordering::SeqCst) - before, reaches, "{fault:?}");
        }
        proxy.set(|_| Fault::Answer("HTTP/1.1 418 X\r\nContent-Length: 0\r\n\r\n".to_owned()));
        assert_eq!(post().unwrap().status, 418);
        proxy.heal();
        assert!(post().is_ok());
        assert_eq!(proxy.exchanges("/a").len(), 8);
    }
}
