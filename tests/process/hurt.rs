//! A service whose database is hurt in some way, and what must be true of it: the answer is "unknown" for as long as that
//! lasts, and nothing has to be restarted afterwards.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::service::{CHEAP, SECRET, Service, cookies, csrf, sign_in};

/// After recovery everything works again within this.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// Who has an account, as a form.
pub(crate) const PERSON: &str = "email=ada%40example.com&password=correct+horse+battery&json=true";

/// How many attempts are counted, as a text, on either database.
pub(crate) const ATTEMPTS: &str = "SELECT CAST(COALESCE(SUM(count), 0) AS TEXT) FROM attempts";

/// The service, and a session that began while everything was well.
pub(crate) struct Hurt {
    pub(crate) folder: TempDir,
    pub(crate) service: Service,
    pub(crate) session: String,
}

impl Hurt {
    /// `place` makes the database's URL, given the service's folder; `through` see [`Service::start_through`].
    pub(crate) fn start(strategy: &str, through: &[&str], place: impl FnOnce(&Path) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let database = place(folder.path());
        let mut variables = vec![
            ("COUNTERSIGN_SECRET", SECRET),
            ("COUNTERSIGN_SESSION__STRATEGY", strategy),
            ("COUNTERSIGN_DATABASE_URL", database.as_str()),
            ("COUNTERSIGN_DATABASE_TIMEOUT", "1"),
            ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
        ];
        variables.extend(CHEAP);
        let service = Service::start_through(through, folder.path(), &variables);
        let session = sign_in(&service);
        // And another one, which can be ended.
        sign_in(&service);
        Self { folder, service, session }
    }

    fn guarded(&self) -> String {
        self.service.get("/api/get-session-example", &format!("Cookie: {}\r\n", self.session))
    }

    pub(crate) fn post(&self, path: &str, session: &str, fields: &str) -> String {
        let first = self.service.get("/api/auth/csrf", "");
        let body = format!("csrfToken={}&{fields}", csrf(&first));
        self.service.post(path, &format!("{}; {session}", cookies(&first)), &body)
    }

    /// Everything that writes is unknown, several times over: whatever a failure leaves behind is met by the next.
    pub(crate) fn assert_unwritable(&self, label: &str) {
        for round in 0..3 {
            let guarded = self.guarded();
            let known = guarded.starts_with("HTTP/1.1 200") || guarded.starts_with("HTTP/1.1 503");
            assert!(known, "{label}: {guarded}");
            for (path, session, fields) in [
                ("/api/auth/callback/credentials", "", PERSON),
                ("/api/auth/signup", "", "email=eve%40example.com&password=correct+horse+battery&json=true"),
                ("/api/auth/signout", self.session.as_str(), "json=true"),
                ("/api/auth/account/sessions/end-others", self.session.as_str(), "json=true"),
            ] {
                let answer = self.post(path, session, fields);
                assert!(is_unknown(&answer), "{label}, {path}, round {round}: {answer}");
            }
        }
        assert!(self.service.get("/healthz", "").starts_with("HTTP/1.1 200"), "{label}");
    }

    /// The same process, the same cookie: everything as before, and no attempt counted by what failed.
    pub(crate) fn assert_recovered(&self, label: &str, attempts: impl Fn() -> String) {
        let since = Instant::now();
        loop {
            let answer = self.post("/api/auth/callback/credentials", "", PERSON);
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(since.elapsed() < RECOVERY, "{label}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(self.guarded().starts_with("HTTP/1.1 200"), "{label}: the same cookie");
        // Two accounts were asked for, and with each a mail, which is counted by address, by recipient and by both;
        // everything else was taken back.
        while attempts() != "8" {
            assert!(since.elapsed() < RECOVERY * 2, "{label}: {} attempts are left", attempts());
            std::thread::sleep(Duration::from_millis(100));
        }
        let out = self.post("/api/auth/signout", &self.session, "json=true");
        assert!(out.starts_with("HTTP/1.1 200"), "{label}: {out}");
        assert!(self.guarded().starts_with("HTTP/1.1 401"), "{label}: and signed out now");
    }
}

/// 503, with the time to wait and no cookie.
pub(crate) fn is_unknown(answer: &str) -> bool {
    let head = answer.to_ascii_lowercase();
    answer.starts_with("HTTP/1.1 503") && head.contains("retry-after: ") && !head.contains("set-cookie")
}

/// Runs a program; whether it is there and did it.
pub(crate) fn does(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stderr(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// One line for what cannot be tried on this machine; under CI that is a failure.
pub(crate) fn left_out(what: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("CI").is_none(), "{what}");
    writeln!(std::io::stderr(), "{what}; the test that needs it is left out").ok();
}
