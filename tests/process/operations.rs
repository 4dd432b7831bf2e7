//! Starting, stopping, and what supervisors ask.

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
