//! A flood of names: what the limits remember of it is rows, and the rows go.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use countersign::clock::{ManualClock, Timestamp};
use countersign::config::Config;
use countersign::secret::TokenHash;
use countersign::server::clean_once;
use countersign::signin::Limits;
use countersign::signin::limits::{Attempt, Counted};
use countersign::store::{self, Database, OpenOptions, Store};
use rocket::figment::Figment;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

/// Names that somebody tried.
const NAMES: usize = 1_000_000;
/// Those of them that the measured process counts itself, each by the three counters of a sign-in. The others were counted a
/// day and more ago, by some process of before.
const COUNTED: usize = 12_000;
const WINDOW: i64 = 900;
/// When the flood began, and when the measured process looks at it: what ended a day before is cleaned up.
const FLOOD: Timestamp = Timestamp(1_800_000_000);
const NOW: Timestamp = Timestamp(FLOOD.0 + 200_000);
const CLEAN_BEFORE: Timestamp = Timestamp(NOW.0 - 86_400);
/// What the allocator may need to go on, whatever the number of names: less than their hashes would take.
const SLACK: usize = COUNTED * 9 / 10 * 3 * 32;
/// The same with the clean-up of a million rows.
const SLACK_OF_CLEANING: usize = 24 << 20;

/// Asks this program to be the one whose memory is measured: in this process other tests run. (Not one of the names that
/// configuration is read from.)
const CHILD: &str = "FLOOD_TEST_DATABASE";

#[test]
fn a_flood_of_names_is_rows_and_no_memory_and_the_rows_go() {
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    if let Ok(url) = std::env::var(CHILD) {
        return runtime.block_on(flood(&url));
    }
    // SQLite waits for the disk after every statement, so it has one of memory where there is one.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut urls = vec![folder.path().join("flood.db").display().to_string()];
    urls.extend(runtime.block_on(crate::postgres::fresh_database()));
    for url in urls {
        let began = Instant::now();
        runtime.block_on(fill(&url));
        println!("{} names of before after {:?}", NAMES - COUNTED, began.elapsed());
        let test = "limiter::a_flood_of_names_is_rows_and_no_memory_and_the_rows_go";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", test, "--nocapture"]).env(CHILD, &url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let told: Vec<&str> = said.lines().filter(|line| line.contains("flood: ")).collect();
        assert_eq!(told.len(), 3, "the control: it ran to its end: {said}");
        println!("{}", told.join("\n"));
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres")
}

async fn open(url: &str) -> Arc<dyn Store> {
    let database =
        if is_postgres(url) { Database::Postgres(url.to_owned()) } else { Database::Sqlite(url.into()) };
    let options = OpenOptions { database, max_connections: 8, timeout: Duration::from_secs(30) };
    store::open(&options).await.unwrap()
}

/// The counters of before, as the limiter's own statement leaves them: keys that look random, two thousand a second.
async fn fill(url: &str) {
    let store = open(url).await;
    store.migrate().await.unwrap();
    store.close().await;
    let names = NAMES - COUNTED;
    let ends = format!("{} + i / 2000", FLOOD.0 + WINDOW);
    let into = "INSERT INTO attempts (key, count, window_ends)";
    if is_postgres(url) {
        let mut connection =
            url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.unwrap();
        let values =
            format!("SELECT sha256(i::text::bytea), 1, {ends} FROM generate_series(1, {names}) AS i");
        connection.execute(sqlx::AssertSqlSafe(format!("{into} {values}"))).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlite(url).await;
        connection.execute("PRAGMA cache_size = -300000; PRAGMA synchronous = OFF").await.unwrap();
        let values = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {names}) \
             SELECT randomblob(32), 1, {ends} FROM n"
        );
        connection.execute(sqlx::AssertSqlSafe(format!("{into} {values}"))).await.unwrap();
        connection.close().await.unwrap();
    }
}

async fn sqlite(url: &str) -> sqlx::SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(url).connect().await.unwrap()
}

/// How many counters there are.
async fn rows(url: &str) -> usize {
    let statement = "SELECT COUNT(*) FROM attempts";
    let count: i64 = if is_postgres(url) {
        let mut connection =
            url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.unwrap();
        connection.fetch_one(statement).await.unwrap().get(0)
    } else {
        sqlite(url).await.fetch_one(statement).await.unwrap().get(0)
    };
    usize::try_from(count).unwrap()
}

async fn flood(url: &str) {
    let store = open(url).await;
    let figment =
        Figment::from(rocket::Config::debug_default()).merge(("auth.secret", crate::service::SECRET));
    let config = Config::from_figment(&figment).unwrap().limits;
    assert_eq!((config.window, config.per_account), (WINDOW, 5));
    let limits = Limits::new(Arc::clone(&store), Arc::new(ManualClock::at(NOW)), config);
    count(&limits, 0..COUNTED / 10).await;
    let before = memory();
    let began = Instant::now();
    count(&limits, COUNTED / 10..COUNTED).await;
    let grown = memory().saturating_sub(before);
    println!("flood: {COUNTED} names more after {:?}, {grown} bytes after the first tenth", began.elapsed());
    assert!(grown <= SLACK, "{grown} bytes for {} names", COUNTED * 9 / 10);
    assert_eq!(rows(url).await, NAMES + 2 * COUNTED, "each name is counted");

    clean_while_somebody_counts(&store).await;
    let grown = memory().saturating_sub(before);
    println!("flood: {grown} bytes more after cleaning up");
    assert!(grown <= SLACK_OF_CLEANING, "{grown} bytes after cleaning up");
    assert_eq!(rows(url).await, 3 * COUNTED + 1, "what has not ended is left, and nothing else");
    // The first name is still known after all the others: four more guesses, and no sixth.
    for guess in 2..=6 {
        let allowed = matches!(count_one(&limits, 0).await, Counted::Allowed(_));
        assert_eq!(allowed, guess <= 5, "guess {guess}");
    }
    clean_once(&*store, NOW.plus(WINDOW + 1)).await.unwrap();
    assert_eq!(rows(url).await, 0, "no row is left");
    store.close().await;
}

async fn count_one(limits: &Limits, number: usize) -> Counted {
    let address = Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap());
    let account = format!("name{number}@example.com");
    let attempt = Attempt { account: &account, address: Some(IpAddr::V4(address)) };
    limits.count_sign_in(attempt).await.unwrap()
}

/// Guesses at these names, each from an address of its own.
async fn count(limits: &Limits, names: std::ops::Range<usize>) {
    const LANES: usize = 8;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let (limits, names) = (limits.clone(), names.clone());
            rocket::tokio::spawn(async move {
                for number in names.skip(lane).step_by(LANES) {
                    assert!(matches!(count_one(&limits, number).await, Counted::Allowed(_)), "{number}");
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

/// Batch by batch, as on every instance once a minute; and one name is counted all the while.
async fn clean_while_somebody_counts(store: &Arc<dyn Store>) {
    let over = Arc::new(AtomicBool::new(false));
    let counting = {
        let (store, over) = (Arc::clone(store), Arc::clone(&over));
        rocket::tokio::spawn(async move {
            let (mut waits, key) = (Vec::new(), TokenHash::of("somebody"));
            while !over.load(Ordering::Relaxed) {
                let since = Instant::now();
                let counted = store.count_attempt(&key, NOW, WINDOW).await.unwrap();
                waits.push(since.elapsed());
                assert_eq!(
                    counted.count,
                    i64::try_from(waits.len()).unwrap(),
                    "in the midst of the clean-up"
                );
                rocket::tokio::time::sleep(Duration::from_millis(1)).await;
            }
            waits.sort_unstable();
            waits
        })
    };
    let began = Instant::now();
    clean_once(&**store, CLEAN_BEFORE).await.unwrap();
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let waits = counting.await.unwrap();
    assert!(!waits.is_empty());
    println!(
        "flood: cleaned up in {took:?}; of {} counts meanwhile the median took {:?}, the 99th of a hundred {:?}, the longest {:?}",
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits[waits.len() - 1]
    );
}

/// What this process takes of the machine's memory, in bytes.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
