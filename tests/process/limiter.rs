//! A flood of names: what the limits remember of it is rows, and the rows go.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::Timestamp;
use countersign::secret::TokenHash;
use countersign::server::clean_once;
use countersign::store::{self, Database, OpenOptions, Store};

/// A million names are many times these, and nothing here depends on how many came before: the memory is measured after
/// the first tenth and must not grow with the other nine.
const NAMES: usize = 40_000;
const WINDOW: i64 = 900;
const NOW: Timestamp = Timestamp(1_800_000_000);
/// What the allocator may need to go on, whatever the number of names.
const SLACK: usize = 8 << 20;

/// Asks this program to be the one whose memory is measured: in this process other tests run.
const CHILD: &str = "COUNTERSIGN_TEST_FLOOD";

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
        let test = "limiter::a_flood_of_names_is_rows_and_no_memory_and_the_rows_go";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", test, "--nocapture"]).env(CHILD, &url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("flood: "), "the control: it ran: {said}");
        println!("{}", said.lines().find(|line| line.contains("flood: ")).unwrap());
    }
}

async fn open(url: &str) -> Arc<dyn Store> {
    let database = if url.starts_with("postgres") {
        Database::Postgres(url.to_owned())
    } else {
        Database::Sqlite(url.into())
    };
    let options = OpenOptions { database, max_connections: 8, timeout: Duration::from_secs(30) };
    let store = store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn flood(url: &str) {
    let store = open(url).await;
    count(&store, 0..NAMES / 10).await;
    let before = memory();
    count(&store, NAMES / 10..NAMES).await;
    let after = memory();
    let again = store.count_attempt(&TokenHash::of("name 0"), NOW, WINDOW).await.unwrap();
    assert_eq!(again.count, 2, "the first name is still known after all the others");
    let grown = after.saturating_sub(before);
    assert!(grown <= SLACK, "{grown} bytes for {} names", NAMES * 9 / 10);
    // Batch by batch, as on every instance once a minute.
    clean_once(&*store, NOW.plus(WINDOW + 1)).await.unwrap();
    assert_eq!(store.delete_ended_attempts(Timestamp(i64::MAX), 10).await.unwrap(), 0, "no row is left");
    let grown_by_cleaning = memory().saturating_sub(before);
    assert!(grown_by_cleaning <= SLACK, "{grown_by_cleaning} bytes after cleaning up");
    println!(
        "flood: {NAMES} names, {grown} bytes more after the first tenth, {grown_by_cleaning} after cleaning up"
    );
    store.close().await;
}

async fn count(store: &Arc<dyn Store>, names: std::ops::Range<usize>) {
    const LANES: usize = 8;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let (store, names) = (Arc::clone(store), names.clone());
            rocket::tokio::spawn(async move {
                for number in names.skip(lane).step_by(LANES) {
                    let key = TokenHash::of(&format!("name {number}"));
                    assert_eq!(store.count_attempt(&key, NOW, WINDOW).await.unwrap().count, 1);
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

/// What this process takes of the machine's memory, in bytes.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
