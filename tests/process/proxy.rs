//! Behind Debian's nginx with deploy/nginx.conf as it is shipped: only where it listens, where Rocket does and the
//! certificate are filled in. What Rocket cannot do itself is done there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::framing::{doubtful_framing, statuses};
use crate::listening::Listening;
use crate::needed;
use crate::service::{Service, free_port, sign_in};
use crate::wire::{Wire, request};

const NGINX: &str = "/usr/sbin/nginx";

/// The times in deploy/nginx.conf, and some patience for a busy machine.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The shipped file, with this test's ports in it. It ends TLS in earnest; here the wire is plain.
fn configuration(listen: u16, upstream: u16) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx.conf");
    let shipped = std::fs::read_to_string(path).unwrap();
    let lines = shipped.lines().filter(|line| !line.trim().starts_with("ssl_"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let filled = text
        .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{listen};"))
        .replace("server 127.0.0.1:8000;", &format!("server 127.0.0.1:{upstream};"));
    assert_ne!(filled, text);
    filled
}

/// What stands around it in Debian: `/etc/nginx/nginx.conf` includes `conf.d/*.conf`.
fn around(folder: &Path, site: &str) -> String {
    let folder = folder.display();
    format!(
        "worker_processes 2;\nworker_rlimit_nofile 16384;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n    access_log off;\n    client_body_temp_path {folder}/body;\n    proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\n    uwsgi_temp_path {folder}/uwsgi;\n    scgi_temp_path {folder}/scgi;\n\
         {site}\n}}\n"
    )
}

fn is_installed() -> bool {
    needed::is_installed(NGINX, "nginx-light")
}

fn before(upstream: u16, folder: &Path) -> Listening {
    let port = free_port();
    let path = folder.join("nginx.conf");
    std::fs::write(&path, around(folder, &configuration(port, upstream))).unwrap();
    let log = folder.join("error.log");
    let mut command = Command::new(NGINX);
    command.arg("-e").arg(&log).arg("-c").arg(&path).args(["-g", "daemon off;"]);
    Listening::start(&mut command, port, &log)
}

/// A service behind it, that trusts it.
fn pair(folder: &Path) -> (Service, Listening) {
    Listening::before_a_service(folder, "[\"127.0.0.1\"]", before)
}

#[test]
fn the_shipped_file_loads_as_it_is() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-out",
        ])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "openssl is not installed");
        return;
    }
    let shipped =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx.conf")).unwrap();
    let site = shipped
        .replace("/etc/ssl/certs/app.example.com.pem", &certificate.display().to_string())
        .replace("/etc/ssl/private/app.example.com.key", &key.display().to_string());
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, around(folder.path(), &site)).unwrap();
    let output = Command::new(NGINX).arg("-e").arg("stderr").arg("-t").arg("-c").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_refuses_what_is_doubtful_or_too_much_and_passes_what_is_right() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (_service, proxy) = pair(folder.path());
    // The control: people sign in through it, with a session as long as sessions get.
    let session = sign_in(&proxy.address);
    let mut wire = Wire::to(proxy.address.port);
    let padding = format!("{session}; a={}", "b".repeat(12_000));
    for cookie in [session.as_str(), padding.as_str()] {
        let answer = wire.get("/api/get-session-example", &[("Cookie", cookie.as_bytes())]).unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(wire.opened(), 1);
    for (name, bytes, _) in doubtful_framing() {
        let found = statuses(&proxy.address, &bytes);
        assert!(!found.contains(&401), "{name}: {found:?}");
        // Both a length and an encoding: RFC 9112 leaves the choice to the server, and nginx refuses.
        if name == "CL.TE" || name == "TE.CL" || name.contains("length") {
            assert_eq!(found, [400], "{name}");
        }
    }
    let long = "b".repeat(20_000);
    let answer = wire.get("/", &[("X", long.as_bytes())]).unwrap();
    assert!(matches!(answer.status, 400 | 431), "a header of 20 KB: {}", answer.status);
    let kind: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");
    let answer = wire.send(&request("POST", "/api/auth/signout", &[kind], &vec![b'a'; 70_000])).unwrap();
    assert_eq!(answer.status, 413, "a body of 70 KB");
}

/// Slow headers end; slow bodies reach nobody; half-open connections stop nobody.
#[test]
fn slow_connections_end_before_rocket_hears_of_them() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (service, proxy) = pair(folder.path());
    let files = service.files();
    let connect = || TcpStream::connect(("127.0.0.1", proxy.address.port)).unwrap();
    let half = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    let mut half_open: Vec<TcpStream> = (0..2000).map(|_| connect()).collect();
    for stream in &mut half_open {
        stream.write_all(half).unwrap();
    }
    let since = Instant::now();
    // As many slow bodies as one address may have.
    let head = b"POST /api/auth/callback/credentials HTTP/1.1\r\nHost: localhost\r\n\
                 Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{";
    let mut slow: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
    for stream in &mut slow {
        stream.write_all(head).unwrap();
    }
    let mut asked = 0;
    while since.elapsed() < HEADER_TIMEOUT + Duration::from_secs(5) {
        for stream in &mut slow {
            stream.write_all(b" ").unwrap();
        }
        asked += 1;
        assert!(proxy.address.get("/healthz", "").starts_with("HTTP/1.1 200"), "answered meanwhile");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(asked >= 3, "{asked}");
    let reached = service.files().saturating_sub(files);
    assert!(reached <= 40, "{reached} connections reached Rocket, beyond the kept ones of nginx");
    let closed = half_open.iter_mut().filter_map(|stream| {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => Some(()),
            Err(error) => (error.kind() == std::io::ErrorKind::ConnectionReset).then_some(()),
        }
    });
    assert_eq!(closed.count(), 2000, "every half-open connection was ended");
    // A body that stops altogether ends too.
    let mut stopped = slow.pop().unwrap();
    stopped.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut rest = Vec::new();
    let ended = stopped.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
}

#[test]
fn one_address_has_so_many_requests_at_a_time() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (_service, proxy) = pair(folder.path());
    let head = b"POST /api/auth/callback/credentials HTTP/1.1\r\nHost: localhost\r\n\
                 Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.address.port)).unwrap();
        stream.write_all(head).unwrap();
        waiting.push(stream);
    }
    // nginx counts a request when it has read its head: a moment later.
    let refused = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        proxy.address.get("/healthz", "").starts_with("HTTP/1.1 429")
    });
    assert!(refused, "the 65th");
    drop(waiting);
    let again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        proxy.address.get("/healthz", "").starts_with("HTTP/1.1 200")
    });
    assert!(again, "and then there is room again");
}

/// The address that limits count is the one nginx saw, whatever the client says.
#[test]
fn nobody_speaks_for_another_address() {
    if !is_installed() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (_service, proxy) = pair(folder.path());
    let mut wire = Wire::to(proxy.address.port);
    wire.enter("ada@example.com");
    let (cookie, token) = wire.pair();
    let mut limited = 0;
    for number in 0..8 {
        let claimed = format!("198.51.100.{number}");
        let body = crate::wire::form(&[
            ("csrfToken", &token),
            ("email", "ada@example.com"),
            ("password", "a wrong guess"),
        ]);
        let headers: [(&str, &[u8]); 6] = [
            ("Content-Type", b"application/x-www-form-urlencoded"),
            ("Cookie", cookie.as_bytes()),
            ("X-Forwarded-For", claimed.as_bytes()),
            ("X-Real-IP", claimed.as_bytes()),
            ("Forwarded", claimed.as_bytes()),
            ("X-Client-IP", claimed.as_bytes()),
        ];
        let answer = wire.send(&request("POST", "/api/auth/callback/credentials", &headers, &body)).unwrap();
        limited += usize::from(answer.status == 429);
    }
    assert_eq!(limited, 3, "five guesses are allowed, from wherever they claim to come");
}
