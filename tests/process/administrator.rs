//! The first administrator is made by the command line and by nothing else, and is one on every instance at once.

use tempfile::TempDir;

use crate::postgres;
use crate::service::{Address, CHEAP, SECRET, Service, run, said, sign_in};

/// What the administrators' page answers whoever holds this session.
fn admin_page(service: &Address, session: &str) -> String {
    let answer = service.get("/api/auth/admin", &format!("Cookie: {session}\r\n"));
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn round(database: Option<&str>, instances: usize) {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(database.map(|url| ("COUNTERSIGN_DATABASE_URL", url)));
    variables.extend(CHEAP);
    let services: Vec<Service> = (0..instances).map(|_| Service::start(folder.path(), &variables)).collect();
    let role = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["user", "role"], arguments].concat(), &variables);
        (output.status.success(), said(&output))
    };
    let assert_everywhere = |session: &str, expected: &str| {
        for service in &services {
            assert_eq!(admin_page(service, session), expected, "{database:?}");
        }
    };
    // The very first account of the service.
    let session = sign_in(&services[0]);
    assert_everywhere(&session, "403");
    let (done, text) = role(&["grant", "ada@example.com", "admin"]);
    assert!(done && text.contains("ada@example.com has the role admin"), "{text}");
    assert_everywhere(&session, "200");
    assert_eq!(role(&["list", "ada@example.com"]), (true, "admin\n".to_owned()));
    for wrong in [["grant", "no@example.com", "admin"], ["grant", "ada@example.com", "No Name"]] {
        let (done, text) = role(&wrong);
        assert!(!done && !text.contains("has the role"), "{text}");
    }
    assert!(role(&["take", "Ada@Example.com", "admin"]).0);
    assert_everywhere(&session, "403");
    let log = said(&run(folder.path(), &["audit", "list"], &variables));
    assert!(log.contains("role.granted") && log.contains("role.taken"), "{log}");
}

#[test]
fn the_first_administrator_is_made_by_the_command_line() {
    round(None, 1);
    let database = rocket::tokio::runtime::Runtime::new().unwrap().block_on(postgres::fresh_database());
    if let Some(database) = database {
        round(Some(&database), 2);
    }
}
