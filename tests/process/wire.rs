//! A client of a test's own that sends any bytes, and keeps its connection for as long as the server does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

/// How long an answer may take on a machine that does ten things at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection after the other to the same port.
pub(crate) struct Wire {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
    opened: usize,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// Every header of this name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The first header of this name, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_default()
    }

    /// The cookies it sets, as a `Cookie` header repeats them.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let pair = |header: &'_ str| header.split(';').next().unwrap_or_default().len();
        self.headers("set-cookie").into_iter().map(|header| &header[..pair(header)]).collect()
    }

    /// The cookie it sets whose name ends so.
    pub(crate) fn cookie(&self, ending: &str) -> Option<&str> {
        let named = |pair: &&str| pair.split('=').next().is_some_and(|name| name.ends_with(ending));
        self.cookies().into_iter().find(named)
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A request, byte for byte.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    if method != "GET" {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    [bytes.as_slice(), b"\r\n", body].concat()
}

/// Fields as a form writes them.
pub(crate) fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

/// One try to sign in, over a connection of its own, from an address that a proxy tells.
pub(crate) fn try_sign_in(
    port: u16,
    pair: &(String, String),
    address: &str,
    email: &str,
    password: &str,
) -> Reply {
    let body = form(&[("csrfToken", &pair.1), ("email", email), ("password", password), ("json", "true")]);
    let headers: [(&str, &[u8]); 4] = [
        ("Content-Type", b"application/x-www-form-urlencoded"),
        ("Cookie", pair.0.as_bytes()),
        ("X-Forwarded-For", address.as_bytes()),
        ("Connection", b"close"),
    ];
    Wire::to(port).send(&request("POST", "/api/auth/callback/credentials", &headers, &body)).unwrap()
}

/// Does the same many times at the same moment; what each contender got.
pub(crate) fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let (barrier, work) = (&barrier, &work);
        let contend = |number| {
            scope.spawn(move || {
                barrier.wait();
                work(number)
            })
        };
        let contenders: Vec<_> = (0..count).map(contend).collect();
        contenders.into_iter().map(|contender| contender.join().unwrap()).collect()
    })
}

impl Wire {
    pub(crate) fn to(port: u16) -> Self {
        Self { port, stream: None, opened: 0 }
    }

    /// Connections opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened
    }

    /// Sends bytes and reads one answer; `None` when the server closes without one.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Option<Reply> {
        let reused = self.stream.is_some();
        match self.try_send(bytes) {
            // A server may close a kept connection just as it is used again.
            None if reused => self.try_send(bytes),
            answer => answer,
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> Option<Reply> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            self.stream = Some(BufReader::new(stream));
            self.opened += 1;
        }
        let stream = self.stream.as_mut()?;
        // A server that refuses may answer before everything was sent.
        stream.get_mut().write_all(bytes).ok();
        let answer = read(stream, bytes.starts_with(b"HEAD"));
        if answer.as_ref().is_none_or(|answer| answer.header("connection") == "close") {
            self.stream = None;
        }
        answer
    }

    pub(crate) fn get(&mut self, target: &str, headers: &[(&str, &[u8])]) -> Option<Reply> {
        self.send(&request("GET", target, headers, b""))
    }

    /// Posts a form.
    pub(crate) fn post(&mut self, target: &str, cookies: &str, fields: &[(&str, &str)]) -> Option<Reply> {
        let kind: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");
        self.send(&request("POST", target, &[kind, ("Cookie", cookies.as_bytes())], &form(fields)))
    }

    /// Posts a JSON document.
    pub(crate) fn post_json(&mut self, target: &str, cookies: &str, body: &str) -> Option<Reply> {
        let kind: (&str, &[u8]) = ("Content-Type", b"application/json");
        self.send(&request("POST", target, &[kind, ("Cookie", cookies.as_bytes())], body.as_bytes()))
    }

    /// A CSRF pair: the cookie, and the token that a form repeats.
    pub(crate) fn pair(&mut self) -> (String, String) {
        let answer = self.get("/api/auth/csrf", &[]).unwrap();
        let token = answer.json()["csrfToken"].as_str().unwrap().to_owned();
        (answer.cookie("csrf-token").unwrap().to_owned(), token)
    }

    /// Makes an account, unless it is there, and signs in. The session cookie, as it was sent.
    pub(crate) fn enter(&mut self, email: &str) -> String {
        let (cookie, token) = self.pair();
        let fields = [
            ("csrfToken", token.as_str()),
            ("email", email),
            ("password", "correct horse battery"),
            ("json", "true"),
        ];
        let made = self.post("/api/auth/signup", &cookie, &fields).unwrap();
        assert_eq!(made.status, 200, "{}", made.body);
        let entered = self.post("/api/auth/callback/credentials", &cookie, &fields).unwrap();
        assert_eq!(entered.status, 200, "{}", entered.body);
        entered.cookie("session-token").unwrap().to_owned()
    }
}

/// Reads one answer, passing over those that only announce it.
pub(crate) fn read(stream: &mut BufReader<TcpStream>, headless: bool) -> Option<Reply> {
    loop {
        let (status, headers) = read_head(stream)?;
        if status < 200 {
            continue;
        }
        let find = |name: &str| {
            headers
                .iter()
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
        };
        let body = if headless || status == 204 || status == 304 {
            Vec::new()
        } else if find("transfer-encoding").is_some() {
            read_chunks(stream)?
        } else {
            let mut body = vec![0; find("content-length")?.parse().ok()?];
            stream.read_exact(&mut body).ok()?;
            body
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        return Some(Reply { status, headers, body });
    }
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8_lossy(line.strip_suffix(b"\r\n")?).into_owned();
    Some(text)
}

fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(u16, Vec<(String, String)>)> {
    let status = read_line(stream)?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Some((status, headers));
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&read_line(stream)?, 16).ok()?;
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).ok()?;
        body.extend(chunk);
        read_line(stream)?;
        if size == 0 {
            return Some(body);
        }
    }
}
