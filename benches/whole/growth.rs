//! What a guarded request, a sign-in and the clean-up cost as everything grows by powers of ten.
//!
//! One file of SQLite grows from a thousand sessions to a million (to ten million with `--full`, which takes ten
//! gigabytes and the better part of an hour). The figures go to `docs/performance/growth.csv`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use countersign::clock::{Clock as _, SystemClock, Timestamp};
use countersign::guards::Auth;
use countersign::model::{Subject, UserId};
use countersign::secret::TokenHash;
use countersign::session::{CookieHeader, Found, Presented, RevocationList, SoughtName};
use countersign::store::Store;

use crate::app::{Setup, enter};
use crate::load::median;
use crate::{fill, on_one_worker, say};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance/growth.csv");
/// Sessions asked for by their cookies at each step.
const ASKED: u64 = 2000;

/// Measures and writes the file.
pub(crate) fn report(arguments: &[&str]) {
    let most = if arguments.contains(&"--full") { 10_000_000 } else { 1_000_000 };
    let mut rows = vec!["what,count,nanoseconds".to_owned()];
    cookies(&mut rows);
    revocations(&mut rows, most);
    on_one_worker(sessions(&mut rows, most));
    std::fs::create_dir_all(std::path::Path::new(FILE).parent().unwrap()).unwrap();
    std::fs::write(FILE, rows.join("\n") + "\n").unwrap();
    say(&format!("written to {FILE}"));
}

fn note(rows: &mut Vec<String>, what: &str, count: u64, each: f64) {
    say(&format!("{what:<40} {count:>9} {each:>12.0} ns"));
    rows.push(format!("{what},{count},{each:.0}"));
}

/// The median of many runs of `work`, each of `times` repetitions.
fn timed(times: u32, mut work: impl FnMut()) -> f64 {
    let runs = (0..15).map(|_| {
        let begun = Instant::now();
        for _ in 0..times {
            work();
        }
        nanoseconds(begun.elapsed()) / f64::from(times)
    });
    median(runs.collect())
}

fn nanoseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e9
}

fn cookies(rows: &mut Vec<String>) {
    let name = SoughtName::new("next-auth.session-token");
    for count in [1, 10, 100] {
        let others: Vec<String> =
            (1..count).map(|number| format!("_other_{number}=GA1.1.{number:032}")).collect();
        let header = format!("{}; next-auth.session-token={}", others.join("; "), "x".repeat(300));
        let each = timed(10_000, || {
            let found = CookieHeader::parse([black_box(header.as_str())]).find_chunked(&name);
            assert!(matches!(black_box(found), Found::Value(_)));
        });
        note(rows, "find the session among cookies", count, each);
    }
}

fn revocations(rows: &mut Vec<String>, most: u64) {
    let list = RevocationList::default();
    let user = UserId::from_existing("ada");
    let (mut at, mut count) = (0_u64, 1000);
    while count <= most.min(1_000_000) {
        for number in at..count {
            list.add(&Subject::Session(TokenHash::of(&number.to_string())), Timestamp(0), Timestamp(1));
        }
        at = count;
        list.confirm(Instant::now());
        let ids: Vec<TokenHash> = (0..1000).map(|number| TokenHash::of(&format!("other {number}"))).collect();
        let mut ids = ids.iter().cycle();
        let each = timed(10_000, || {
            black_box(list.is_revoked(ids.next().unwrap(), &user, Timestamp(2)));
        });
        note(rows, "ask the list of revoked sessions", count, each);
        count *= 10;
    }
}

async fn sessions(rows: &mut Vec<String>, most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        database_url: format!("sqlite://{}", folder.path().join("growth.db").display()),
        strategy: "database".to_owned(),
        format: "nextauth-v3".to_owned(),
        port: 0,
    };
    let store = setup.store().await;
    let rocket = setup.rocket(store.clone()).ignite().await.unwrap();
    let auth = rocket.state::<Auth>().unwrap();
    let (mut at, mut count) = (0, 1000);
    while count <= most {
        fill::sessions(&setup.database_url, at, count).await;
        at = count;
        let asked = fill::known_sessions(&setup.database_url, ASKED).await;
        note(rows, "a session that was not read lately", count, cold(auth, &asked).await);
        let warm = asked.first().unwrap().clone();
        note(rows, "a session that was read lately", count, warmed(auth, &warm));
        let mut signed_in = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            enter(&rocket, &*store, 1).await;
            signed_in.push(nanoseconds(begun.elapsed()));
        }
        note(rows, "begin a session", count, median(signed_in));
        note(rows, "clean up one expired session", count, clean(&*store, &setup.database_url).await);
        count *= 10;
    }
}

fn value_of(header: &str) -> String {
    let value = header.split_once('=').unwrap().1;
    percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

async fn cold(auth: &Auth, asked: &[String]) -> f64 {
    let mut each = Vec::new();
    for header in asked {
        let value = value_of(header);
        let begun = Instant::now();
        assert!(auth.sessions.read(Presented::Cookie(&value)).await.is_ok());
        each.push(nanoseconds(begun.elapsed()));
    }
    median(each)
}

fn warmed(auth: &Auth, header: &str) -> f64 {
    let value = value_of(header);
    timed(10_000, || {
        black_box(auth.sessions.recent(Presented::Cookie(&value)));
    })
}

async fn clean(store: &dyn Store, url: &str) -> f64 {
    let mut each = Vec::new();
    for _ in 0..5 {
        fill::expired(url, 500).await;
        let begun = Instant::now();
        let gone = store.delete_expired_sessions(SystemClock.now(), 500).await.unwrap();
        each.push(nanoseconds(begun.elapsed()) / gone.max(1) as f64);
    }
    median(each)
}
