//! `countersign routes`.

use super::{config, say};
use crate::site;

/// Lists every mounted route.
pub(super) async fn run() -> Result<(), String> {
    config()?;
    let rocket = site::rocket(site::figment()).ignite().await;
    let rocket = rocket.map_err(|error| format!("the routes cannot be listed: {}", error.kind()))?;
    let mut lines: Vec<String> = rocket
        .routes()
        .map(|route| {
            let policy = policy(route.uri.path());
            format!("{:<8} {:<44} {policy}", route.method.as_str(), route.uri.path())
        })
        .collect();
    lines.sort();
    for line in &lines {
        say(line);
    }
    Ok(())
}

/// What a person needs to get past the route's guards.
fn policy(path: &str) -> &'static str {
    const SESSION: [&str; 3] = ["/protected", "/api/get-session-example", "/api/get-token-example"];
    if SESSION.contains(&path) || path.contains("/account") { "session" } else { "public" }
}
