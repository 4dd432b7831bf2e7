//! Several processes, one PostgreSQL, and nothing else in common.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres;
use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, sign_in};

/// What a revocation on one instance may take to arrive at another: usually the second between two questions to the
/// store, and never longer than the list is believed without an answer.
const BOUND: Duration = countersign::session::STALE_AFTER;

/// An instance, and the folder it runs in, which is no other's.
struct Instance {
    service: Service,
    _folder: TempDir,
}

impl std::ops::Deref for Instance {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

fn start(database: &str, strategy: &str, secret: &str) -> Instance {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![
        ("COUNTERSIGN_SECRET", secret),
        ("COUNTERSIGN_DATABASE_URL", database),
        ("COUNTERSIGN_SESSION__STRATEGY", strategy),
        ("COUNTERSIGN_DATABASE_MAX_CONNECTIONS", "5"),
    ];
    variables.extend(CHEAP);
    Instance { service: Service::start(folder.path(), &variables), _folder: folder }
}

fn fresh_database() -> Option<String> {
    rocket::tokio::runtime::Runtime::new().unwrap().block_on(postgres::fresh_database())
}

fn is_open(service: &Address, session: &str) -> bool {
    let answer = service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    let refused = answer.starts_with("HTTP/1.1 401");
    assert!(refused || answer.starts_with("HTTP/1.1 200"), "{answer}");
    !refused
}

fn sign_out(service: &Address, session: &str) {
    let first = service.get("/api/auth/csrf", "");
    let body = format!("csrfToken={}&json=true", csrf(&first));
    let answer = service.post("/api/auth/signout", &format!("{}; {session}", cookies(&first)), &body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_happens_on_one_instance_holds_on_all() {
    for strategy in ["jwt", "database"] {
        let Some(database) = fresh_database() else { return };
        let services: Vec<Instance> = (0..3).map(|_| start(&database, strategy, SECRET)).collect();
        let [one, two, three] = services.as_slice() else { panic!() };
        for round in 0..5 {
            // The account of the first round is the same afterwards: sign-up answers as if it were new.
            let session = sign_in([one, two, three][round % 3]);
            assert!(services.iter().all(|service| is_open(service, &session)), "{strategy}: open everywhere");
            sign_out([two, three, one][round % 3], &session);
            assert!(
                !is_open([two, three, one][round % 3], &session),
                "{strategy}: at once where it happened"
            );
            let since = Instant::now();
            while services.iter().any(|service| is_open(service, &session)) {
                assert!(
                    since.elapsed() < BOUND,
                    "{strategy}: still open elsewhere after {:?}",
                    since.elapsed()
                );
            }
        }
    }
}

/// From the old secret to the new one without a single refusal: the new one is known everywhere before anybody mints by it.
#[test]
fn a_secret_is_rotated_instance_by_instance() {
    let (old, new) =
        ("rotated-old-secret-0123456789-abcdefghijkl", "rotated-new-secret-0123456789-abcdefghijkl");
    let list = |secrets: &[&str]| {
        format!("[{}]", secrets.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(","))
    };
    for strategy in ["jwt", "database"] {
        let Some(database) = fresh_database() else { return };
        let plans = [list(&[old]), list(&[old, new]), list(&[new, old])];
        let mut services: Vec<Instance> =
            (0..2).map(|_| start(&database, strategy, plans.first().unwrap())).collect();
        let mut sessions = vec![sign_in(&services[0])];
        for plan in &plans[1..] {
            for index in 0..services.len() {
                services[index] = start(&database, strategy, plan);
                for service in &services {
                    sessions.push(sign_in(service));
                    assert!(sessions.iter().all(|session| is_open(service, session)), "{strategy}: {plan}");
                }
            }
        }
        let alone = start(&database, strategy, &list(&[new]));
        assert!(!is_open(&alone, &sessions[0]), "{strategy}: the old secret left the list");
        assert!(is_open(&alone, sessions.last().unwrap()));
    }
}
