//! A thousand revocations on three instances: how long each takes to arrive everywhere, measured, and the bound held.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::{Clock as _, SystemClock};
use countersign::config::Config;
use countersign::model::{AuthMethod, Email, NewUser, Permission, User, UserId};
use countersign::providers::Hasher;
use countersign::secret::{Password, Secrets};
use countersign::session::{
    CookieRules, Device, Grant, RevocationList, STALE_AFTER, Sessions, encode_component,
};
use countersign::store::{self, Created, Database, OpenOptions, Store};
use countersign::token::Claims;
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::tokio::runtime::Runtime;
use tempfile::TempDir;

use crate::postgres;
use crate::races::status;
use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf};

/// How often something is revoked. `COUNTERSIGN_TEST_REVOCATIONS` asks for another number.
fn rounds() -> usize {
    std::env::var("COUNTERSIGN_TEST_REVOCATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

/// Signs people in without asking a service: one more instance, as it were.
struct Issuer {
    runtime: Runtime,
    store: Arc<dyn Store>,
    sessions: Sessions,
    cookie: &'static str,
    hash: String,
}

impl Issuer {
    fn new(database: &str, strategy: &str) -> Self {
        let text = format!(
            "[default.auth]\nsecret = \"{SECRET}\"\n[default.auth.session]\nstrategy = \"{strategy}\"\n\
             [default.auth.providers.credentials.argon2]\nmemory_kib = 8192\niterations = 1\n"
        );
        let figment = Figment::from(rocket::Config::debug_default()).merge(Toml::string(&text).nested());
        let config = Config::from_figment(&figment).unwrap();
        let runtime = Runtime::new().unwrap();
        let options = OpenOptions {
            database: Database::Postgres(database.to_owned()),
            max_connections: 5,
            timeout: Duration::from_secs(20),
        };
        let store = runtime.block_on(store::open(&options)).unwrap();
        let cookies = CookieRules::new(config.jwt.format, config.url.secure);
        let (list, secrets) = (Arc::new(RevocationList::default()), Secrets::new(config.secrets.clone()));
        let clock = Arc::new(SystemClock);
        let sessions = Sessions::stored(&config, clock, Arc::clone(&store), list, &cookies, &secrets);
        let hasher = Hasher::new(config.credentials.as_ref().unwrap()).unwrap();
        let hash = runtime.block_on(hasher.hash(&Password::new("correct horse battery"))).unwrap();
        Self { runtime, store, sessions, cookie: cookies.session_name(), hash }
    }

    fn user(&self, name: &str) -> User {
        let user = NewUser {
            id: UserId::generate().unwrap(),
            email: Email::parse(&format!("{name}@example.com")).unwrap(),
            name: None,
            password_hash: Some(self.hash.clone()),
            created_at: SystemClock.now(),
        };
        self.runtime.block_on(async {
            assert_eq!(self.store.create_user(&user).await.unwrap(), Created::Created);
            self.store.find_user(&user.id).await.unwrap().unwrap()
        })
    }

    fn session(&self, user: &User) -> String {
        let (method, claims, device) = (AuthMethod::Pwd, Claims::default(), Device::default());
        let grant = Grant { user, method, claims, device, replaces: None };
        let issued = self.runtime.block_on(self.sessions.issue(grant)).unwrap();
        format!("{}={}", self.cookie, encode_component(&issued.value))
    }

    /// The session of somebody who may end those of others.
    fn administrator(&self) -> String {
        let (user, role) = (self.user("administrator"), Permission::parse("admin").unwrap());
        assert!(self.runtime.block_on(self.store.grant_role(&user.id, &role, SystemClock.now())).unwrap());
        self.session(&user)
    }

    fn disable(&self, user: &User) {
        let now = SystemClock.now();
        let until = now.plus(90 * 24 * 60 * 60);
        assert!(self.runtime.block_on(self.store.disable_user(&user.id, now, until)).unwrap());
    }

    /// Cuts the connections by which the instances hear of revocations, as soon as there are any again.
    fn cut_listeners(&self, admin: &sqlx::PgPool) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE application_name = 'countersign listener' AND datname = current_database()";
        let since = Instant::now();
        loop {
            let cut = sqlx::query_scalar::<_, bool>(statement).fetch_all(admin);
            if !self.runtime.block_on(cut).unwrap().is_empty() {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "nobody listens again");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn is_open(service: &Address, session: &str) -> bool {
    let answer = service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    assert!([200, 401].contains(&status(&answer)), "{answer}");
    status(&answer) == 200
}

/// A session of somebody new, another of theirs, and the way in which this round revokes the first.
struct Round<'a> {
    issuer: &'a Issuer,
    service: &'a Address,
    form: &'a (String, String),
    number: usize,
    user: User,
    victim: String,
    /// Somebody else's session, who may end those of others.
    administrator: &'a str,
}

impl Round<'_> {
    /// Revokes in one of the ways there are.
    fn revoke(&self) {
        match self.number % 10 {
            5 => self.post(&self.issuer.session(&self.user), "/api/auth/account/delete", "&confirm=yes"),
            6 => {
                let path = format!("/api/auth/admin/users/{}", self.user.id);
                self.post(self.administrator, &path, "&act=end_sessions");
            }
            7 => self.post(&self.issuer.session(&self.user), "/api/auth/account/sessions/end-others", ""),
            8 => self.post(
                &self.issuer.session(&self.user),
                "/api/auth/account/password",
                "&currentPassword=correct+horse+battery&newPassword=another+horse+entirely",
            ),
            9 => self.issuer.disable(&self.user),
            _ => self.post(&self.victim, "/api/auth/signout", ""),
        }
    }

    fn post(&self, session: &str, path: &str, more: &str) {
        let (jar, token) = self.form;
        let body = format!("csrfToken={token}&json=true{more}");
        let answer = self.service.post(path, &format!("{jar}; {session}"), &body);
        assert!([200, 303].contains(&status(&answer)), "round {}, {path}: {answer}", self.number);
    }
}

/// The median, the hundredth that is slowest, and the slowest.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100];
    match times.last() {
        Some(slowest) => format!(
            "{} revocations: median {:.1?}, p99 {:.1?}, slowest {slowest:.1?}",
            times.len(),
            at(50),
            at(99)
        ),
        None => "none".to_owned(),
    }
}

#[test]
fn a_revocation_arrives_everywhere_within_the_bound() {
    for strategy in ["jwt", "database"] {
        let Some(database) = Runtime::new().unwrap().block_on(postgres::fresh_database()) else { return };
        let folder = TempDir::new().unwrap();
        let mut variables = vec![
            ("COUNTERSIGN_SECRET", SECRET),
            ("COUNTERSIGN_DATABASE_URL", database.as_str()),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_DATABASE_MAX_CONNECTIONS", "5"),
        ];
        variables.extend(CHEAP);
        let services: Vec<Service> = (0..3).map(|_| Service::start(folder.path(), &variables)).collect();
        let issuer = Issuer::new(&database, strategy);
        let admin = issuer.runtime.block_on(sqlx::PgPool::connect(&database)).unwrap();
        let first = services[0].get("/api/auth/csrf", "");
        let form = (cookies(&first), csrf(&first));
        let administrator = issuer.administrator();
        let (mut heard, mut cut) = (Vec::new(), Vec::new());
        for number in 0..rounds().div_ceil(2) {
            let service = &services[number % 3].address;
            let user = issuer.user(&format!("round-{number}"));
            let victim = issuer.session(&user);
            // Every instance has it in mind.
            assert!(services.iter().all(|service| is_open(service, &victim)), "round {number}: open before");
            let round = Round {
                issuer: &issuer,
                service,
                form: &form,
                number,
                user,
                victim,
                administrator: &administrator,
            };
            // Every tenth, of each kind in turn.
            let is_cut = number % 10 == number / 10 % 10;
            if is_cut {
                issuer.cut_listeners(&admin);
            }
            round.revoke();
            let since = Instant::now();
            for service in &services {
                while is_open(service, &round.victim) {
                    assert!(
                        since.elapsed() < STALE_AFTER,
                        "{strategy}, round {number}: still open elsewhere"
                    );
                }
            }
            (if is_cut { &mut cut } else { &mut heard }).push(since.elapsed());
        }
        let (heard, cut) = (figures(heard), figures(cut));
        writeln!(std::io::stdout(), "{strategy}: {heard}; with the listeners cut, {cut}").ok();
    }
}
