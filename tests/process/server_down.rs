//! A real PostgreSQL that stops answering, dies, and is started again, while people come and go.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres::{Cluster, find_programs};
use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, sign_in};

/// After recovery everything works again within this.
const RECOVERY: Duration = Duration::from_secs(5);

/// A server that is treated badly, and does not stay behind when the test fails meanwhile.
struct Server(Cluster);

impl Server {
    /// Sends a signal to the server's process and to all that it has started. It is stopped first, so that it starts none
    /// meanwhile.
    fn signal(&self, name: &str) {
        let file = std::fs::read_to_string(self.0.folder.join("data/postmaster.pid")).unwrap_or_default();
        let Some(first) = file.lines().next().map(str::to_owned) else { return };
        let kill = |name: &str, processes: &[String]| {
            Command::new("kill").arg(format!("-{name}")).args(processes).output().unwrap();
        };
        kill("STOP", std::slice::from_ref(&first));
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &first]).output().unwrap();
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let mut all: Vec<String> = children.lines().map(|line| line.trim().to_owned()).collect();
        all.push(first);
        kill(name, &all);
    }

    fn listens(&self) -> bool {
        let server = self.0.server();
        std::net::TcpStream::connect(server.rsplit('@').next().unwrap()).is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("CONT");
    }
}

/// What the load saw: how many answers of each kind.
#[derive(Default, Debug)]
struct Seen {
    fine: usize,
    unknown: usize,
}

/// Asks guarded routes, signs in and up, until it is told to stop. Every answer is right or "unknown".
fn load(address: &Address, session: &str, number: usize, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut answers = vec![
            address.get("/api/get-session-example", &format!("Cookie: {session}\r\n")),
            address.get("/protected", &format!("Accept: text/html\r\nCookie: {session}\r\n")),
        ];
        let first = address.get("/api/auth/csrf", "");
        if round % 3 == 0 {
            let token = csrf(&first);
            let other = format!("load{number}-{round}%40example.com");
            for (path, email) in [("signup", other.as_str()), ("callback/credentials", "ada%40example.com")] {
                let body =
                    format!("csrfToken={token}&email={email}&password=correct+horse+battery&json=true");
                answers.push(address.post(&format!("/api/auth/{path}"), &cookies(&first), &body));
            }
        }
        for answer in answers {
            match answer.get(9..12) {
                Some("200") => seen.fine += 1,
                Some("503") => {
                    let head = answer.to_ascii_lowercase();
                    assert!(head.contains("retry-after: ") && !head.contains("set-cookie"), "{answer}");
                    seen.unknown += 1;
                }
                _ => panic!("neither right nor unknown: {answer}"),
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    seen
}

fn is_fine(service: &Address, session: &str) -> bool {
    let answer = service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    answer.starts_with("HTTP/1.1 200")
}

fn until(what: &str, limit: Duration, condition: impl Fn() -> bool) -> Duration {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    since.elapsed()
}

#[test]
fn a_server_that_is_stopped_killed_and_restarted_is_an_outage_and_nothing_else() {
    let Some(programs) = find_programs() else {
        // The other tests have said what to install, and fail under CI.
        return;
    };
    // Killed in the middle of writing: what was answered must be on its disk.
    let server = Server(Cluster::make(&programs, "killed", "-c fsync=on -c synchronous_commit=on"));
    for strategy in ["database", "jwt"] {
        let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
        let url = runtime.block_on(crate::postgres::make_database(&server.0.server(), strategy));
        let folder = TempDir::new().unwrap();
        let mut variables = vec![
            ("COUNTERSIGN_SECRET", SECRET),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_DATABASE_URL", url.as_str()),
            ("COUNTERSIGN_DATABASE_TIMEOUT", "2"),
            ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
        ];
        variables.extend(CHEAP);
        let service = Service::start(folder.path(), &variables);
        let session = sign_in(&service);
        let stop = Arc::new(AtomicBool::new(false));
        let load: Vec<_> = (0..3)
            .map(|number| {
                let (address, session, stop) = (service.address.clone(), session.clone(), Arc::clone(&stop));
                std::thread::spawn(move || load(&address, &session, number, &stop))
            })
            .collect();
        let unknown = || !is_fine(&service, &session);
        let fine = || is_fine(&service, &session);
        // It hangs: connections stay open, and nobody answers.
        server.signal("STOP");
        until("told to be unknown while it hangs", Duration::from_secs(20), unknown);
        server.signal("CONT");
        until("after it goes on", RECOVERY, fine);
        // It dies, and is started again on the same data.
        server.signal("KILL");
        until("told to be unknown while it is dead", Duration::from_secs(20), unknown);
        assert!(service.get("/readyz", "").contains("store_unavailable"), "{strategy}");
        until("its port is closed", Duration::from_secs(10), || !server.listens());
        server.0.start();
        // Its second database is made only when it answers.
        runtime.block_on(crate::postgres::make_database(&server.0.server(), &format!("back_{strategy}")));
        until("after it is back", RECOVERY, fine);
        stop.store(true, Ordering::Relaxed);
        let (mut right, mut lost) = (0, 0);
        for seen in load {
            let seen = seen.join().unwrap();
            right += seen.fine;
            lost += seen.unknown;
        }
        assert!(right > 20 && lost > 5, "{strategy}: the control: {right} right, {lost} unknown");
        // Nobody used up a guess by it.
        sign_in(&service);
    }
}
