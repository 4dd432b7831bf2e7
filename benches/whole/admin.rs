//! The administrator's pages, as whole requests, while the number of people and of records grows.

use std::time::Instant;

use countersign::clock::{Clock as _, SystemClock};
use countersign::model::{Email, Permission};
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;

use crate::app::{EMAIL, Setup, enter};
use crate::{fill, on_one_worker, say};

/// Requests per page.
const ASKED: usize = 300;
/// Sessions, of a tenth as many people.
const SESSIONS: u64 = 100;

/// Fills a file of SQLite and measures at each size; a number sets the largest.
pub(crate) fn report(arguments: &[&str]) {
    let most = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    on_one_worker(measure(most));
}

async fn measure(most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        database_url: format!("sqlite://{}", folder.path().join("admin.db").display()),
        strategy: "database".to_owned(),
        format: "nextauth-v3".to_owned(),
        port: 0,
    };
    let store = setup.store().await;
    let client = Client::untracked(setup.rocket(store.clone())).await.unwrap();
    let cookie = enter(client.rocket(), &*store, 3).await;
    let admin = store.find_user_by_email(&Email::parse(EMAIL).unwrap()).await.unwrap().unwrap().user.id;
    store.grant_role(&admin, &Permission::parse("admin").unwrap(), SystemClock.now()).await.unwrap();
    say(&format!("{:<44} {:>9} {:>9} {:>9}", "page", "people", "median", "p99"));
    let mut filled = 0;
    for count in [1000, most] {
        fill::people_and_records(&setup.database_url, filled, count).await;
        if filled == 0 {
            fill::sessions(&setup.database_url, 0, SESSIONS).await;
        }
        filled = count;
        for (name, path) in pages(count) {
            let (median, p99) = ask(&client, &cookie, &path).await;
            say(&format!("{name:<44} {count:>9} {median:>6.2} ms {p99:>6.2} ms"));
        }
    }
}

/// What an administrator looks at.
fn pages(count: u64) -> Vec<(&'static str, String)> {
    let address = |number: u64| format!("user{number:07}%40example.com");
    let newest = 1_000_000_000 + count;
    vec![
        ("people, first page", "/api/auth/admin".to_owned()),
        ("people, a page in the middle", format!("/api/auth/admin?after={}", address(count / 2))),
        ("people, the last page", format!("/api/auth/admin?after={}", address(count - 10))),
        ("search for one person", format!("/api/auth/admin?q={}", address(count * 3 / 4))),
        ("search by a common beginning", "/api/auth/admin?q=user0000".to_owned()),
        (
            "search by the last beginning, a page on",
            format!("/api/auth/admin?q=user0&after={}", address(count / 2)),
        ),
        ("search that finds nobody", "/api/auth/admin?q=zebra".to_owned()),
        ("one person, with sessions", format!("/api/auth/admin/users/{:032x}", 3)),
        ("audit log, newest page", "/api/auth/admin/log".to_owned()),
        ("audit log, a page in the middle", format!("/api/auth/admin/log?before={}", newest - count / 2)),
    ]
}

/// Median and 99th percentile of whole requests, milliseconds.
async fn ask(client: &Client, cookie: &str, path: &str) -> (f64, f64) {
    let mut each = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let request = client
            .get(path.to_owned())
            .header(Header::new("Cookie", cookie.to_owned()))
            .header(Header::new("Accept", "text/html"));
        let begun = Instant::now();
        let answer = request.dispatch().await;
        assert_eq!(answer.status(), Status::Ok, "{path}");
        let body = answer.into_bytes().await.unwrap_or_default();
        each.push(begun.elapsed().as_secs_f64() * 1000.0);
        assert!(!body.is_empty(), "{path}");
    }
    each.sort_by(f64::total_cmp);
    let at = |part: usize| each.get(each.len() * part / 100).copied().unwrap_or_default();
    (at(50), at(99))
}
