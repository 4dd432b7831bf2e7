//! A service of a test's own: a real process, asked over real sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) const SECRET: &str = "process-secret-0123456789-abcdefghijklmnopq";

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program in a folder of its own, with no configuration but what is given.
pub(crate) fn program(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("ROCKET_LOG_LEVEL", "critical").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    program(folder, arguments, variables).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A service that listens.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) address: Address,
}

impl std::ops::Deref for Service {
    type Target = Address;

    fn deref(&self) -> &Address {
        &self.address
    }
}

/// How long a whole request may take to be answered, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a service listens: whoever only asks needs no more.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) port: u16,
}

impl Service {
    pub(crate) fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_through(&[], folder, variables)
    }

    /// As [`Service::start`], by another program that prepares something and then becomes the service.
    pub(crate) fn start_through(through: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut all = vec![("ROCKET_PORT", text.as_str())];
        all.extend(variables);
        let mut command = program(folder, &["serve"], &all);
        if let Some((first, rest)) = through.split_first() {
            let mut outer = Command::new(first);
            outer.args(rest).arg(command.get_program()).args(command.get_args()).current_dir(folder);
            outer.env_clear().env("PATH", "/usr/bin:/bin").env("ROCKET_LOG_LEVEL", "critical").envs(all);
            outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command = outer;
        }
        let mut service = Self { child: command.spawn().unwrap(), address: Address { port } };
        let mut lines = BufReader::new(service.child.stdout.take().unwrap()).lines();
        let ready =
            lines.find_map(|line| line.ok().filter(|line| line.contains("Countersign is ready: open http")));
        if ready.is_none() {
            let mut said = String::new();
            service.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the service did not start: {said}");
        }
        // Rocket panics when it cannot print: what it says must be read to the end.
        std::thread::spawn(move || lines.for_each(drop));
        let errors = service.child.stderr.take().unwrap();
        std::thread::spawn(move || BufReader::new(errors).lines().for_each(drop));
        // The line is printed as the listener starts; the socket is there a moment later.
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return service;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody listens on {port}");
    }

    /// What it takes of this machine's memory now, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever took, in bytes.
    pub(crate) fn memory_at_most(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// How many sockets it listens at.
    pub(crate) fn listening(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let own: Vec<String> = files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .map(|target| target.display().to_string())
            .collect();
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
        let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
        let listens = |line: &&str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let is_own = |inode: &&str| own.contains(&format!("socket:[{inode}]"));
            columns.get(3) == Some(&"0A") && columns.get(9).is_some_and(is_own)
        };
        sockets.filter(listens).count()
    }

    /// How many files and sockets it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// A service started by a command of the test's own, once it listens.
    pub(crate) fn spawn(mut command: Command, port: u16) -> Self {
        let mut service = Self { child: command.spawn().unwrap(), address: Address { port } };
        if let Some(output) = service.child.stdout.take() {
            std::thread::spawn(move || BufReader::new(output).lines().for_each(drop));
        }
        for _ in 0..1500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return service;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("nobody listens on {port}");
    }

    pub(crate) fn signal(&mut self, name: &str) -> std::process::ExitStatus {
        self.send_signal(name);
        self.child.wait().unwrap()
    }

    /// As [`Service::signal`], without waiting for its end.
    pub(crate) fn send_signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Address {
    /// Sends bytes and reads everything that comes back.
    pub(crate) fn exchange(&self, request: &[u8]) -> String {
        // A server may close before everything was sent, and may wait for more than is sent: neither hangs the test.
        self.exchange_within(request, Duration::from_secs(5))
    }

    fn exchange_within(&self, request: &[u8], patience: Duration) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(request).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// As [`Address::get`]; `None` when nobody listens any more.
    pub(crate) fn try_get(&self, path: &str) -> Option<String> {
        TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        std::panic::catch_unwind(|| self.get(path, "")).ok()
    }

    /// As [`Address::post`]; `None` when nobody listens any more.
    pub(crate) fn try_post(&self, path: &str, cookies: &str, body: &str) -> Option<String> {
        TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        std::panic::catch_unwind(|| self.post(path, cookies, body)).ok()
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        self.exchange_within(request.as_bytes(), PATIENCE)
    }

    pub(crate) fn post(&self, path: &str, cookies: &str, body: &str) -> String {
        let length = body.len();
        let kind = "application/x-www-form-urlencoded";
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookies}\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.exchange_within(request.as_bytes(), PATIENCE)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The cookies an answer sets, as one `Cookie` header's value.
pub(crate) fn cookies(answer: &str) -> String {
    let set = answer.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie")
            .then(|| value.split(';').next().unwrap_or_default().to_owned())
    });
    set.collect::<Vec<_>>().join("; ")
}

pub(crate) fn csrf(answer: &str) -> String {
    answer.split("\"csrfToken\":\"").nth(1).unwrap().chars().take(64).collect()
}

/// Makes an account and signs in over real sockets; the session cookie as it was sent.
pub(crate) fn sign_in(service: &Address) -> String {
    let first = service.get("/api/auth/csrf", "");
    let (jar, token) = (cookies(&first), csrf(&first));
    let person = "email=ada%40example.com&password=correct+horse+battery&json=true";
    let made = service.post("/api/auth/signup", &jar, &format!("csrfToken={token}&{person}"));
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let entered =
        service.post("/api/auth/callback/credentials", &jar, &format!("csrfToken={token}&{person}"));
    assert!(entered.starts_with("HTTP/1.1 200"), "{entered}");
    let set = cookies(&entered);
    set.split("; ").find(|pair| pair.contains("session-token")).unwrap().to_owned()
}

pub(crate) const CHEAP: [(&str, &str); 2] = [
    ("COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__MEMORY_KIB", "8192"),
    ("COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__ITERATIONS", "1"),
];
