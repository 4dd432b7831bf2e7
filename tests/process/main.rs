//! The program as people start it: real processes, real sockets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "what is measured is shown with --nocapture")]

mod administrator;
mod caddy;
mod crash;
mod framing;
mod guesses;
mod headers;
mod headers_elsewhere;
mod hurt;
mod instances;
mod limiter;
mod listening;
mod monitoring;
mod moving;
mod moving_rows;
mod names;
mod needed;
mod odd_requests;
mod once;
mod once_elsewhere;
mod operations;
mod other_sites;
mod outage;
mod prometheus;
mod proxy;
mod races;
mod revocations;
mod rotation;
mod server_down;
mod server_faults;
mod service;
mod side_by_side;
mod sockets;
mod storage;
mod storm;
mod tokens;
mod wire;

#[path = "../support/data.rs"]
mod data;

#[path = "../support/postgres.rs"]
mod postgres;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::service::{
    Address, CHEAP, SECRET, Service, cookies, csrf, free_port, program, run, said, sign_in,
};

#[test]
fn nothing_configured_it_makes_its_database_serves_and_stops_cleanly() {
    for signal in ["TERM", "INT"] {
        let folder = TempDir::new().unwrap();
        let mut service = Service::start(folder.path(), &CHEAP);
        assert!(folder.path().join("data/countersign.db").exists());
        assert!(service.get("/", "Accept: text/html\r\n").contains("not signed in"));
        let cookie = format!("Cookie: {}\r\n", sign_in(&service));
        assert!(service.get("/api/get-session-example", &cookie).starts_with("HTTP/1.1 200"));
        assert!(service.signal(signal).success(), "{signal}");
        // The same folder again: the generated secret and the session are still there.
        let again = Service::start(folder.path(), &CHEAP);
        assert!(again.get("/api/get-session-example", &cookie).starts_with("HTTP/1.1 200"), "{signal}");
    }
}

#[test]
fn what_stands_in_the_way_is_one_clear_line_and_an_exit_code() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(folder.path(), &[], &[("ROCKET_PORT", &port)]);
    assert!(!output.status.success());
    assert!(said(&output).contains(&format!("port {port} cannot be listened on")), "{}", said(&output));

    std::fs::write(folder.path().join("blocked"), "a file where a folder should be").unwrap();
    let database = [("COUNTERSIGN_DATABASE_URL", "sqlite://blocked/x.db"), ("COUNTERSIGN_SECRET", SECRET)];
    let output = run(folder.path(), &[], &database);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("the folder blocked for the database cannot be made"),
        "{}",
        said(&output)
    );

    std::fs::create_dir_all(folder.path().join("templates/auth")).unwrap();
    std::fs::write(folder.path().join("templates/auth/sign_in.html"), "{% extends \"auth/gone.html\" %}")
        .unwrap();
    let output = run(folder.path(), &[], &[("COUNTERSIGN_SECRET", SECRET)]);
    assert!(!output.status.success());
    assert!(said(&output).contains("auth/gone.html"), "{}", said(&output));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = TempDir::new().unwrap();
    assert!(run(folder.path(), &["migrate"], &[("COUNTERSIGN_SECRET", SECRET)]).status.success());
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}/data/countersign.db", folder.path().display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let newer = "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'later', success, checksum, 0 FROM _countersign_migrations WHERE version = 1";
        sqlx::query(newer).execute(&pool).await.unwrap();
        pool.close().await;
    });
    for command in ["serve", "migrate", "check"] {
        let output = run(folder.path(), &[command], &[("COUNTERSIGN_SECRET", SECRET)]);
        assert!(!output.status.success(), "{command}");
        assert!(said(&output).contains("newer version of countersign"), "{command}: {}", said(&output));
    }
}

#[test]
fn check_explains_everything_at_once() {
    let folder = TempDir::new().unwrap();
    let wrong = [
        ("COUNTERSIGN_SESSION__STRATEGY", "cookie"),
        ("COUNTERSIGN_URL", "nonsense://"),
        ("COUNTERSIGN_SECRT", "x"),
    ];
    let output = run(folder.path(), &["check"], &wrong);
    assert!(!output.status.success());
    for expected in ["auth.session.strategy", "auth.url", "the nearest is `auth.secret`"] {
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
    let output = run(folder.path(), &["check"], &[("COUNTERSIGN_SECRET", SECRET)]);
    assert!(output.status.success() && said(&output).contains("Everything is in order"), "{}", said(&output));
    let release = [("ROCKET_PROFILE", "release")];
    assert!(said(&run(folder.path(), &["check"], &release)).contains("`auth.secret` is missing"));
    assert!(!run(folder.path(), &["serve"], &release).status.success());
}

#[test]
fn the_commands_do_what_they_say() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(CHEAP);
    let secrets: Vec<String> = (0..2).map(|_| said(&run(folder.path(), &["secret"], &[]))).collect();
    assert!(secrets.iter().all(|secret| secret.trim().len() == 64) && secrets.first() != secrets.last());
    let add = |password: &str| {
        let mut command =
            program(folder.path(), &["user", "add", "ada@example.com", "--name", "Ada"], &variables);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(said(&add("short\n")).contains("at least 8 characters"));
    assert!(add("correct horse battery\n").status.success());
    assert!(said(&add("correct horse battery\n")).contains("has an account already"));
    let log = said(&run(folder.path(), &["audit", "list"], &variables));
    assert_eq!(log.matches("user.added").count(), 1, "{log}");
    assert!(said(&run(folder.path(), &["user", "list"], &variables)).contains("ada@example.com\tactive"));
    assert!(run(folder.path(), &["user", "disable", "ada@example.com"], &variables).status.success());
    assert!(said(&run(folder.path(), &["user", "list"], &variables)).contains("ada@example.com\tdisabled"));
    assert!(run(folder.path(), &["user", "enable", "ADA@example.com"], &variables).status.success());
    assert!(
        said(&run(folder.path(), &["user", "disable", "no@example.com"], &variables)).contains("nobody has")
    );
    let routes = said(&run(folder.path(), &["routes"], &variables));
    for (path, policy) in [
        ("/api/get-session-example", "session"),
        ("/api/get-token-example", "token"),
        ("/api/auth/callback/credentials", "public"),
        ("/api/auth/account", "session"),
        ("/protected", "session"),
        ("/", "public"),
    ] {
        let listed = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1) == Some(&path) && words.get(2) == Some(&policy)
        };
        assert!(routes.lines().any(listed), "{path}: {routes}");
    }
    assert!(!routes.contains("not declared"), "{routes}");
    assert!(said(&run(folder.path(), &["--help"], &[])).contains("migrate"));
}

// ASVS: 16.2.5
/// Everything the program says at debug level, while people sign up, in and out, rightly and wrongly: no secret in it.
#[test]
fn nothing_secret_is_logged() {
    for strategy in ["jwt", "database"] {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("log");
        let mut variables = vec![
            ("COUNTERSIGN_SECRET", SECRET),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_LOG", "debug"),
            ("COUNTERSIGN_LOG_FORMAT", "json"),
        ];
        variables.extend(CHEAP);
        let port = free_port().to_string();
        variables.push(("ROCKET_PORT", &port));
        let mut command = program(folder.path(), &["serve"], &variables);
        // At its own level "debug", which is for development, Rocket prints whole requests.
        command.env("ROCKET_LOG_LEVEL", "normal");
        let file = std::fs::File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut service = Service::spawn(command, port.parse().unwrap());
        let session = sign_in(&service);
        let first = service.get("/api/auth/csrf", "");
        let (jar, token) = (cookies(&first), csrf(&first));
        let wrong = format!("csrfToken={token}&email=ada%40example.com&password=hunter2hunter2");
        service.post("/api/auth/callback/credentials", &jar, &wrong);
        service.get("/api/get-session-example", &format!("Cookie: {session}x\r\n"));
        service.post("/api/auth/signout", &format!("{jar}; {session}"), &format!("csrfToken={token}"));
        assert!(service.signal("TERM").success());
        let said = std::fs::read_to_string(&log).unwrap();
        let control = said.contains("sign_in.succeeded") && said.contains("session.signed_out");
        assert!(control && said.contains("sign_in.failed"), "the control: it is the log, and all of it");
        let value = session.split_once('=').unwrap().1;
        for secret in [SECRET, "correct horse", "correct+horse", "hunter2", value, token.as_str()] {
            assert!(!said.contains(secret), "{strategy}: {secret} is in the log");
        }
    }
}

/// One cookie, three programs: the others have the secret and no database, and one of them no Rocket.
#[test]
fn other_programs_read_the_services_cookie() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(CHEAP);
    let service = Service::start(folder.path(), &variables);
    let session = sign_in(&service);
    let programs = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    // `tests/run` builds one without the default features: guards and tokens alone.
    let lean = programs.join("resource_server_lean");
    let rocket = if lean.exists() { lean } else { programs.join("examples/resource_server") };
    for program in [rocket, programs.join("examples/axum_guard")] {
        let other = other_program(&program, folder.path());
        assert!(other.get("/claims", "").starts_with("HTTP/1.1 401"));
        let answer = other.get("/claims", &format!("Cookie: theme=dark; {session}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ada@example.com"), "{answer}");
        let token = session.split_once('=').unwrap().1;
        let bearer = |token: &str| other.get("/claims", &format!("Authorization: Bearer {token}\r\n"));
        let answer = bearer(token);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(bearer(&token[..token.len() - 4]).starts_with("HTTP/1.1 401"));
    }
}

/// A program of the examples, listening.
fn other_program(program: &Path, folder: &Path) -> Service {
    let port = free_port();
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("COUNTERSIGN_SECRET", SECRET);
    command.env("ROCKET_PORT", port.to_string()).env("PORT", port.to_string()).env("ROCKET_LOG_LEVEL", "off");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child =
        child.unwrap_or_else(|error| panic!("{} (`cargo build --examples`): {error}", program.display()));
    let other = Service { child, address: Address { port } };
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    other
}

/// Bytes no well-behaved client sends: an answer, never a 5xx, and the service lives.
#[test]
fn hostile_bytes_on_the_socket() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path(), &CHEAP);
    let session = sign_in(&service);
    let head = "GET /api/get-session-example HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for cookie in [
        b"\xff\xfe".as_slice(),
        b"next-auth.session-token=\xff",
        b"a=\x80; b",
        b"=",
        b";;;",
        b"next-auth.session-token=%ff%00",
    ] {
        requests.push([head.as_bytes(), b"Cookie: ", cookie, b"\r\n\r\n"].concat());
    }
    for authorization in [b"Bearer \xff".as_slice(), b"Bearer", b"Bearer %", b"bearer x", b"Basic !!!"] {
        requests.push([head.as_bytes(), b"Authorization: ", authorization, b"\r\n\r\n"].concat());
    }
    requests
        .push(format!("{head}Cookie: next-auth.session-token={}\r\n\r\n", "A".repeat(200_000)).into_bytes());
    let both = "POST /api/auth/signout HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    requests.push(both.as_bytes().to_vec());
    for request in requests {
        let answer = service.exchange(&request);
        let status: u16 = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(400);
        assert!((300..500).contains(&status), "{status}: {}", String::from_utf8_lossy(&request));
    }
    // A byte that is no UTF-8 in a foreign cookie makes Rocket drop the whole line: signed out for that request, at worst.
    let foreign = [head.as_bytes(), b"Cookie: x=\xff; ", session.as_bytes(), b"\r\n\r\n"].concat();
    assert!(!service.exchange(&foreign).contains(" 500 "));
    let cookie = format!("Cookie: {session}\r\n");
    assert!(
        service.get("/api/get-session-example", &cookie).starts_with("HTTP/1.1 200"),
        "the service lives"
    );
}
