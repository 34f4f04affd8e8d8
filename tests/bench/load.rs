//! A closed loop of HTTP requests: the next is sent when the last is answered.
//!
//! It shares the cores with what it measures, so it does as little as it can:
//! a request is bytes that are ready to send, and of an answer only the status
//! and the end are looked for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// A request as it is sent, and the status of the answer that it must get.
pub(crate) struct Ask {
    bytes: Vec<u8>,
    status: u16,
}

impl Ask {
    /// A request below `/v1/`.
    pub(crate) fn new(method: &str, path: &str, token: &str, body: &str) -> Self {
        Self::headed(method, path, &format!("X-Vault-Token: {token}\r\n"), body)
    }

    /// The same, with other header lines than a token's.
    pub(crate) fn headed(method: &str, path: &str, headers: &str, body: &str) -> Self {
        let text = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: localhost\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            bytes: text.into_bytes(),
            status: 200,
        }
    }

    /// The same, where the answer must have another status: a refusal, or 204.
    pub(crate) const fn refused(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to a server, as `http://127.0.0.1:port`.
    pub(crate) fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Asks, and waits for the whole answer, which must be a good one.
    pub(crate) fn ask(&mut self, ask: &Ask) {
        self.stream.write_all(&ask.bytes).unwrap();
        let mut filled = 0;
        while !is_whole(&self.buffer[..filled]) {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
        }
        let answer = &self.buffer[..filled];
        assert!(
            answer.starts_with(format!("HTTP/1.1 {} ", ask.status).as_bytes()),
            "{}",
            String::from_utf8_lossy(answer)
        );
    }
}

/// Whether an answer has come to its end: by its length, or by its last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = find(answer, b"\r\n\r\n") else {
        return false;
    };
    if answer.starts_with(b"HTTP/1.1 204 ") {
        return true;
    }
    match find(&answer[..head], b"\r\nContent-Length: ") {
        Some(at) => {
            let digits = answer[at + 18..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
            answer.len() >= head + 4 + length
        }
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Asks so many times in all, over all connections.
pub(crate) fn spend(connections: &mut [Connection], ask: &Ask, requests: usize) {
    let each = requests.div_ceil(connections.len());
    thread::scope(|scope| {
        for connection in connections {
            scope.spawn(move || (0..each).for_each(|_| connection.ask(ask)));
        }
    });
}

/// The same as [`run`], where each connection asks something else.
pub(crate) fn run_each(connections: &mut [Connection], asks: &[Ask], time: Duration) -> (u32, f64) {
    let begin = Instant::now();
    let answers: u32 = thread::scope(|scope| {
        let loops: Vec<_> = connections
            .iter_mut()
            .zip(asks.iter().cycle())
            .map(|(connection, ask)| {
                scope.spawn(move || {
                    let mut answers = 0;
                    while begin.elapsed() < time {
                        connection.ask(ask);
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        loops.into_iter().map(|one| one.join().unwrap()).sum()
    });
    (answers, f64::from(answers) / begin.elapsed().as_secs_f64())
}

/// How many answers come in a time, and how many of them in a second.
pub(crate) fn run(connections: &mut [Connection], ask: &Ask, time: Duration) -> (u32, f64) {
    run_each(connections, std::slice::from_ref(ask), time)
}
