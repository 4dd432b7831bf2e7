//! `countersign routes`.

use countersign::Policy;

use super::{config, say};
use crate::site;

/// Lists every mounted route with what it declares: also one that declares nothing, which the audit would refuse.
pub(super) async fn run() -> Result<(), String> {
    config()?;
    let rocket = site::rocket(site::figment().merge(("auth.audit", "off"))).ignite().await;
    let rocket = rocket.map_err(|error| format!("the routes cannot be listed: {}", error.kind()))?;
    let mut lines: Vec<String> = rocket
        .routes()
        .map(|route| {
            let policy = Policy::of(route).map_or("not declared".to_owned(), |policy| policy.to_string());
            format!("{:<8} {:<44} {policy}", route.method.as_str(), route.uri.path())
        })
        .collect();
    lines.sort();
    for line in &lines {
        say(line);
    }
    Ok(())
}
