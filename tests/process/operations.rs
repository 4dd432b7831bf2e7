//! Starting, stopping, and what supervisors ask.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::service::{CHEAP, SECRET, Service, cookies, csrf, sign_in};

#[test]
fn readiness_tells_a_store_that_is_gone_from_one_that_is_there() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path(), &CHEAP);
    assert!(service.get("/healthz", "").contains("{\"status\":\"ok\"}"));
    let ready = service.get("/readyz", "");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("{\"status\":\"ready\"}"), "{ready}");
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite://{}/data/countersign.db", folder.path().display());
    let alter = |statement: &'static str| {
        runtime.block_on(async {
            let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
            sqlx::query(statement).execute(&pool).await.unwrap();
            pool.close().await;
        });
        std::thread::sleep(std::time::Duration::from_millis(600));
        service.get("/readyz", "")
    };
    // A newer program migrated the database under us.
    let newer = alter(
        "INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
                       SELECT 9999, 'later', success, checksum, 0 FROM _countersign_migrations WHERE version = 1",
    );
    assert!(newer.starts_with("HTTP/1.1 503") && newer.contains("schema_mismatch"), "{newer}");
    assert!(service.get("/healthz", "").starts_with("HTTP/1.1 200"), "the process lives all the same");
    let restored = alter("DELETE FROM _countersign_migrations WHERE version = 9999");
    assert!(restored.starts_with("HTTP/1.1 200"), "{restored}");
}

/// What has begun when the process is told to stop is answered, and what it answered is stored.
#[test]
fn a_request_in_flight_outlives_the_signal() {
    let folder = TempDir::new().unwrap();
    // Hashes that take a moment: the signal arrives in the middle.
    let slow = [
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__MEMORY_KIB", "131072"),
        ("COUNTERSIGN_PROVIDERS__CREDENTIALS__ARGON2__ITERATIONS", "6"),
        // A machine that is busy with other things needs longer than the usual grace for such a hash.
        ("ROCKET_SHUTDOWN", "{grace=30,mercy=5}"),
    ];
    let mut service = Service::start(folder.path(), &slow);
    let first = service.get("/api/auth/csrf", "");
    let (jar, token) = (cookies(&first), csrf(&first));
    let address = service.address.clone();
    let body = format!("csrfToken={token}&email=ada%40example.com&password=correct+horse+battery&json=true");
    let sign_up = std::thread::spawn(move || address.post("/api/auth/signup", &jar, &body));
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert!(!sign_up.is_finished(), "the control: it is in flight");
    assert!(service.signal("TERM").success());
    let answer = sign_up.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let again = Service::start(folder.path(), &slow);
    assert_eq!(sign_in(&again).split('=').next(), Some("next-auth.session-token"));
}

/// Behind a load balancer: readiness turns first, while everybody is still served; then the port closes.
#[test]
fn readiness_turns_before_the_port_closes() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SHUTDOWN_DELAY", "3")];
    variables.extend(CHEAP);
    for signal in ["TERM", "INT"] {
        let mut service = Service::start(folder.path(), &variables);
        assert!(service.get("/readyz", "").starts_with("HTTP/1.1 200"));
        let since = Instant::now();
        service.send_signal(signal);
        let stopping = until_stopping(&service);
        assert!(stopping.starts_with("HTTP/1.1 503"), "{stopping}");
        assert!(
            stopping.contains("application/json") && stopping.ends_with("{\"status\":\"stopping\"}"),
            "{stopping}"
        );
        assert!(service.get("/healthz", "").ends_with("{\"status\":\"ok\"}"), "{signal}: it lives");
        // New connections are accepted, and everything works on them.
        let session = sign_in(&service);
        let guarded = service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
        assert!(guarded.starts_with("HTTP/1.1 200"), "{signal}: {guarded}");
        assert!(service.child.wait().unwrap().success(), "{signal}");
        assert!(since.elapsed() >= Duration::from_secs(3), "{signal}: it did not wait");
        assert!(TcpStream::connect(("127.0.0.1", service.port)).is_err(), "{signal}: the port is closed");
    }
}

#[test]
fn a_second_signal_ends_the_delay() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SHUTDOWN_DELAY", "300")];
    variables.extend(CHEAP);
    let mut service = Service::start(folder.path(), &variables);
    service.send_signal("TERM");
    until_stopping(&service);
    // It would wait for five minutes.
    assert!(service.signal("INT").success());
}

/// Somebody who has sent half a request, and somebody who keeps a connection open for later.
struct Lingering {
    half: TcpStream,
    _idle: TcpStream,
}

/// The second half of what [`Lingering`] sends.
const REST: &str = "x&email=ada%40example.com";

/// What the service says when it reads on.
const CONTINUE: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Lingering {
    fn at(service: &Service) -> Self {
        let connect = |text: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            stream
        };
        let mut idle = connect("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut begin = [0; 12];
        idle.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        let first = "csrfToken=";
        let mut half = connect(&format!(
            "POST /api/auth/signup HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n{first}",
            first.len() + REST.len()
        ));
        // It is under way when its body is asked for (RFC 9110 section 10.1.1).
        let mut asked = [0; CONTINUE.len()];
        half.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, CONTINUE);
        Self { half, _idle: idle }
    }
}

/// The service on a fresh database of either kind, with a grace of its own.
fn start_with_grace(kind: &str, folder: &TempDir, grace: &str) -> Option<Service> {
    let database = match kind {
        "sqlite" => format!("sqlite://{}/kept.db", folder.path().display()),
        _ => rocket::tokio::runtime::Runtime::new().unwrap().block_on(crate::postgres::fresh_database())?,
    };
    let mut variables = vec![
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_DATABASE_URL", database.as_str()),
        ("ROCKET_SHUTDOWN", grace),
    ];
    variables.extend(CHEAP);
    Some(Service::start(folder.path(), &variables))
}

/// Neither keeps the process beyond the grace that is configured, whatever the database: of two that differ in nothing else
/// the impatient one ends while the other still waits.
#[test]
fn what_does_not_end_is_ended_within_the_grace() {
    for kind in ["sqlite", "postgres"] {
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let Some(mut patient) = start_with_grace(kind, &folders[0], "{grace=600,mercy=1}") else { continue };
        let Some(mut service) = start_with_grace(kind, &folders[1], "{grace=1,mercy=1}") else { continue };
        let lingering = [&patient, &service].map(Lingering::at);
        patient.send_signal("TERM");
        service.send_signal("TERM");
        service.child.wait().unwrap();
        // The other has heard the signal as well, and takes nobody else.
        until_closed(&patient);
        assert!(patient.child.try_wait().unwrap().is_none(), "{kind}: it waits for as long as it was told");
        drop(lingering);
    }
}

/// A request that comes slowly is answered while the grace lasts. Rocket waits for the whole of it when anything was on
/// its way.
#[test]
fn what_ends_within_the_grace_is_answered() {
    for kind in ["sqlite", "postgres"] {
        let folder = TempDir::new().unwrap();
        let Some(mut service) = start_with_grace(kind, &folder, "{grace=20,mercy=1}") else { continue };
        let mut lingering = Lingering::at(&service);
        service.send_signal("TERM");
        until_closed(&service);
        assert!(service.child.try_wait().unwrap().is_none(), "{kind}: it waits for what has begun");
        lingering.half.write_all(REST.as_bytes()).unwrap();
        let mut begin = [0; 12];
        lingering.half.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 403", "{kind}: answered: there is no such CSRF token");
        drop(lingering);
        assert!(service.child.wait().unwrap().success(), "{kind}");
    }
}

fn until_closed(service: &Service) {
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", service.port)).is_ok() {
        assert!(since.elapsed() < Duration::from_secs(30), "the port stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn until_stopping(service: &Service) -> String {
    for _ in 0..200 {
        let answer = service.get("/readyz", "");
        if answer.contains("stopping") {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("readiness does not turn")
}
