//! Secrets rotated under traffic on three instances, by SIGHUP: nobody is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::tokio::runtime::Runtime;
use tempfile::TempDir;

use crate::postgres;
use crate::races::status;
use crate::service::{Address, CHEAP, cookies, csrf, free_port, program, run, said, sign_in};

const OLD: &str = "rotated-old-secret-0123456789-abcdefghijkl";
const NEW: &str = "rotated-new-secret-0123456789-abcdefghijkl";

/// An instance whose log can be read.
struct Instance {
    child: Child,
    address: Address,
    log: PathBuf,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Instance {
    fn start(folder: &Path, number: usize, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut all = vec![("ROCKET_PORT", text.as_str())];
        all.extend(variables);
        let log = folder.join(format!("log-{number}"));
        let mut command = program(folder, &["serve"], &all);
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let instance = Self { child: command.spawn().unwrap(), address: Address { port }, log };
        let since = Instant::now();
        while instance.address.try_get("/healthz").is_none() {
            assert!(since.elapsed() < Duration::from_mins(1), "it does not start: {}", instance.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        instance
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends SIGHUP and waits until the log says `expected` once more.
    fn hang_up(&self, expected: &str) {
        let before = self.said().matches(expected).count();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
        self.wait_for(expected, before + 1);
    }

    /// Waits until the log says `expected` so many times.
    fn wait_for(&self, expected: &str, times: usize) {
        let since = Instant::now();
        while self.said().matches(expected).count() < times {
            assert!(since.elapsed() < Duration::from_secs(30), "no {expected:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn configure(folder: &Path, secrets: &[&str], site_name: &str) {
    let list: Vec<String> = secrets.iter().map(|secret| format!("\"{secret}\"")).collect();
    let text = format!("[default.auth]\nsecret = [{}]\nsite_name = \"{site_name}\"\n", list.join(", "));
    // A file that is read while it is written would be half a configuration.
    fs::write(folder.join("Rocket.toml.new"), text).unwrap();
    fs::rename(folder.join("Rocket.toml.new"), folder.join("Rocket.toml")).unwrap();
}

/// A browser's cookies.
#[derive(Default)]
struct Jar {
    csrf: String,
    session: String,
}

impl Jar {
    /// Takes the cookies of an answer.
    fn take(&mut self, answer: &str) {
        for pair in cookies(answer).split("; ") {
            if pair.contains("session-token") {
                pair.clone_into(&mut self.session);
            } else if pair.contains("csrf-token") {
                pair.clone_into(&mut self.csrf);
            }
        }
    }
}

/// A browser that takes every cookie it is given, goes from instance to instance, and is never refused. How many answers
/// it had.
fn browse(services: &[Address], number: usize, stop: &AtomicBool) -> usize {
    let (mut jar, mut answers) = (Jar::default(), 0);
    let at = |step: usize| &services[(number + step) % services.len()];
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let page = at(round).get("/api/auth/csrf", &format!("Cookie: {}\r\n", jar.csrf));
        assert_eq!(status(&page), 200, "{page}");
        jar.take(&page);
        // A form that one instance gave is sent to another; every fourth time it is a new sign-in.
        if round % 4 == 0 {
            let token = csrf(&page);
            let body =
                format!("csrfToken={token}&email=ada%40example.com&password=correct+horse+battery&json=true");
            let answer = at(round + 1).post("/api/auth/callback/credentials", &jar.csrf, &body);
            assert_eq!(status(&answer), 200, "a sign-in was refused: {answer}");
            jar.take(&answer);
        }
        for step in 0..3 {
            let cookie = format!("Cookie: {}\r\n", jar.session);
            let answer = at(round + step).get("/api/get-session-example", &cookie);
            assert_eq!(status(&answer), 200, "a session was refused: {answer}");
            jar.take(&answer);
            answers += 1;
        }
    }
    answers
}

#[test]
fn secrets_are_rotated_by_sighup_and_nobody_is_refused() {
    for strategy in ["jwt", "database"] {
        let Some(database) = Runtime::new().unwrap().block_on(postgres::fresh_database()) else { return };
        let folder = TempDir::new().unwrap();
        configure(folder.path(), &[OLD], "One");
        let mut variables = vec![
            ("COUNTERSIGN_DATABASE_URL", database.as_str()),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_SESSION__UPDATE_AGE", "1"),
            ("COUNTERSIGN_LIMITS__PER_ACCOUNT", "1000000"),
            ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
            ("COUNTERSIGN_LOG", "info"),
        ];
        variables.extend(CHEAP);
        let instances: Vec<Instance> =
            (0..3).map(|number| Instance::start(folder.path(), number, &variables)).collect();
        let services: Vec<Address> = instances.iter().map(|instance| instance.address.clone()).collect();
        // Put into a drawer, and not used again until the end.
        let forgotten = sign_in(&services[0]);
        let stop = AtomicBool::new(false);
        let answers: usize = std::thread::scope(|scope| {
            let (services, stop) = (&services, &stop);
            let browsers: Vec<_> =
                (0..4).map(|number| scope.spawn(move || browse(services, number, stop))).collect();
            // Known everywhere before anybody signs by it; signed by everywhere before the old one leaves.
            for secrets in [[OLD, NEW].as_slice(), &[NEW, OLD], &[NEW]] {
                std::thread::sleep(Duration::from_millis(2500));
                configure(folder.path(), secrets, "Two");
                for instance in &instances {
                    instance.hang_up("the secrets were replaced");
                }
            }
            std::thread::sleep(Duration::from_secs(1));
            stop.store(true, Ordering::Relaxed);
            browsers.into_iter().map(|browser| browser.join().unwrap()).sum()
        });
        assert!(answers > 50, "{strategy}: the control: there was traffic");
        for instance in &instances {
            let cookie = format!("Cookie: {forgotten}\r\n");
            let answer = instance.address.get("/api/get-session-example", &cookie);
            assert_eq!(status(&answer), 401, "{strategy}: the old secret left: {answer}");
            let said = instance.said();
            assert!(said.contains("auth.site_name") && said.contains("secrets were removed"), "{said}");
            assert!(!said.contains(OLD) && !said.contains(NEW), "{strategy}: a secret is in the log");
        }
        a_broken_file_changes_nothing(folder.path(), &instances[0]);
    }
}

fn a_broken_file_changes_nothing(folder: &Path, instance: &Instance) {
    let session = sign_in(&instance.address);
    for text in ["[default.auth]\nsecret = \"short\"\n", "[default.auth\nsecret ="] {
        fs::write(folder.join("Rocket.toml"), text).unwrap();
        instance.hang_up("the secrets stay as they are");
        let answer = instance.address.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
        assert_eq!(status(&answer), 200, "{text}: {answer}");
    }
}

/// The secret of somebody's time-based codes, stored under the old secret; the same, read by these secrets.
fn codes(folder: &Path, store_them: bool, secrets: &[&str]) -> Option<Vec<u8>> {
    use countersign::clock::Timestamp;
    use countersign::model::{Email, NewUser, TotpRecord, UserId};
    use countersign::sealed::{Sealer, TOTP_SECRETS};
    use countersign::secret::{Secret, SecretRing, Secrets};
    use countersign::store::{self, Database, Ends, OpenOptions};

    let mut all = secrets.iter().map(|text| Secret::new(*text));
    let secrets = Secrets::new(SecretRing::new(all.next().unwrap(), all.collect()));
    let sealer = Sealer::new(secrets, TOTP_SECRETS);
    Runtime::new().unwrap().block_on(async {
        let database = Database::Sqlite(folder.join("test.db"));
        let timeout = Duration::from_secs(20);
        let store = store::open(&OpenOptions { database, max_connections: 2, timeout }).await.unwrap();
        let (id, email) = (UserId::from_existing("ada"), Email::parse("ada@example.com").unwrap());
        if store_them {
            store.migrate().await.unwrap();
            let created_at = Timestamp(1_800_000_000);
            let ada = NewUser { id: id.clone(), email, name: None, password_hash: None, created_at };
            let _ = store.create_user(&ada).await.unwrap();
            let secret = sealer.seal("ada", b"her secret").unwrap();
            let totp = TotpRecord { secret, last_step: 0, created_at };
            let ends = Ends { keep: None, until: created_at };
            assert!(store.enable_totp(&id, &totp, &[], ends).await.unwrap());
        }
        let found = store.find_factors(&id).await.unwrap().totp.unwrap();
        store.close().await;
        sealer.open("ada", &found.secret).map(|plain| plain.to_vec())
    })
}

#[test]
fn what_is_stored_is_sealed_anew_by_the_command_and_by_the_service() {
    let url = |folder: &Path| format!("sqlite://{}", folder.join("test.db").display());
    // By the command.
    let folder = TempDir::new().unwrap();
    let database = url(folder.path());
    let variables = [("COUNTERSIGN_DATABASE_URL", database.as_str())];
    assert!(codes(folder.path(), true, &[OLD]).is_some());
    assert!(codes(folder.path(), false, &[NEW]).is_none(), "the control");
    configure(folder.path(), &[NEW, OLD], "One");
    let output = run(folder.path(), &["reseal"], &variables);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("0 tokens of other sites, 1 secrets of time-based codes"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("The others may leave"), "{}", said(&output));
    assert_eq!(codes(folder.path(), false, &[NEW]).as_deref(), Some(b"her secret".as_slice()));
    // The secret that sealed it is gone for good: that is said.
    configure(folder.path(), &["another-secret-0123456789-abcdefghijklmnop"], "One");
    let output = run(folder.path(), &["reseal"], &variables);
    assert!(
        output.status.success() && said(&output).contains("No secret of the list opens"),
        "{}",
        said(&output)
    );

    // By the service, when SIGHUP brings a newer secret.
    let folder = TempDir::new().unwrap();
    let database = url(folder.path());
    assert!(codes(folder.path(), true, &[OLD]).is_some());
    configure(folder.path(), &[OLD], "One");
    let mut variables = vec![("COUNTERSIGN_DATABASE_URL", database.as_str()), ("COUNTERSIGN_LOG", "info")];
    variables.extend(CHEAP);
    let instance = Instance::start(folder.path(), 0, &variables);
    configure(folder.path(), &[NEW, OLD], "One");
    instance.hang_up("the secrets were replaced");
    instance.wait_for("everything that is kept is sealed by the newest secret", 1);
    assert_eq!(codes(folder.path(), false, &[NEW]).as_deref(), Some(b"her secret".as_slice()));
}
