//! deploy/grafana-dashboard.json as Grafana imports it, and its queries as Debian's Prometheus answers them, who asks a
//! running service for its metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::listening::Listening;
use crate::monitoring::{deploy, monitored, use_it};
use crate::needed;
use crate::service::free_port;
use crate::wire::{Wire, form};

const PROMETHEUS: &str = "/usr/bin/prometheus";

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(deploy("grafana-dashboard.json")).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[name].as_array().into_iter().flatten()
}

/// What Grafana's importer and its panels ask of a file. None of it is said at import: a panel stays empty.
#[test]
fn the_dashboard_is_one_that_grafana_imports() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 16, "the first with gridPos");
    assert!(!dashboard["title"].as_str().unwrap().is_empty());
    let uid = dashboard["uid"].as_str().unwrap();
    assert!((1..=40).contains(&uid.len()) && uid.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // A number of the database it was exported from would replace whatever has it where it is imported.
    assert!(dashboard["id"].is_null());
    // Whoever imports it says where their Prometheus is.
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let variables: Vec<&Value> = list(&dashboard["templating"], "list").collect();
    assert_eq!(variables[0]["name"], "datasource", "the others depend on it");
    assert_eq!((&variables[0]["type"], &variables[0]["query"]), (&json!("datasource"), &json!("prometheus")));
    for variable in &variables[1..] {
        assert_eq!((&variable["type"], &variable["datasource"]), (&json!("query"), &source), "{variable}");
    }
    let mut known: BTreeSet<String> =
        variables.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect();
    known.insert("__rate_interval".to_owned());
    let mut cells = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        let title = panel["title"].as_str().unwrap();
        assert!(["row", "stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} lies upon another panel");
        }
        let mut names = BTreeSet::new();
        for target in list(panel, "targets") {
            assert_eq!((&panel["datasource"], &target["datasource"]), (&source, &source), "{title}");
            assert!(names.insert(target["refId"].as_str().unwrap()), "{title}: two queries of one name");
            for part in target["expr"].as_str().unwrap().split('$').skip(1) {
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
                assert!(known.contains(&part[..end]), "{title}: nobody sets ${}", &part[..end]);
            }
        }
    }
}

/// Prometheus, and a connection to it.
struct Prometheus {
    _running: Listening,
    wire: Wire,
}

impl Prometheus {
    /// One that asks a service every second.
    fn asking(port: u16, folder: &Path) -> Self {
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: countersign\n    \
             static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let own = free_port();
        let mut command = Command::new(PROMETHEUS);
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=series"]).current_dir(folder);
        command.arg(format!("--web.listen-address=127.0.0.1:{own}"));
        let running = Listening::start(&mut command, own, &folder.join("prometheus.log"));
        let mut wire = Wire::to(own);
        // It listens before it answers.
        for _ in 0..300 {
            if wire.get("/-/ready", &[]).is_some_and(|answer| answer.status == 200) {
                return Self { _running: running, wire };
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!(
            "Prometheus is not ready: {}",
            std::fs::read_to_string(folder.join("prometheus.log")).unwrap()
        );
    }

    /// An answer of its API.
    fn ask(&mut self, path: &str, fields: &[(&str, &str)]) -> Value {
        let query = String::from_utf8(form(fields)).unwrap();
        let answer = self.wire.get(&format!("/api/v1/{path}?{query}"), &[]).unwrap();
        let json = answer.json();
        assert_eq!(json["status"], "success", "{path}?{query}: {}", answer.body);
        json["data"].clone()
    }

    /// What a query finds now.
    fn query(&mut self, query: &str) -> Vec<Value> {
        self.ask("query", &[("query", query)])["result"].as_array().unwrap().clone()
    }

    /// Waits until a query finds something.
    fn wait_for(&mut self, query: &str) {
        for _ in 0..300 {
            if !self.query(query).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{query}: {}", self.ask("targets", &[]));
    }
}

/// A query as Grafana sends it, with everything chosen.
fn filled(query: &str) -> String {
    query.replace("$job", ".*").replace("$instance", ".*").replace("$__rate_interval", "1m")
}

#[test]
fn prometheus_answers_every_query_of_the_dashboard() {
    if !needed::is_installed(PROMETHEUS, "prometheus") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (service, metrics) = monitored(folder.path());
    use_it(&service);
    let mut prometheus = Prometheus::asking(metrics.port, folder.path());
    // It understood everything that it read, and read it often enough to tell how fast a count grows.
    prometheus.wait_for("count_over_time(up{job=\"countersign\"}[5m]) > 2");
    let target = prometheus.ask("targets", &[("state", "active")])["activeTargets"][0].clone();
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target}");
    let issued = prometheus.query("countersign_sessions_issued_total");
    assert_eq!(issued[0]["value"][1], "1", "the control: what it shows is what the service counted");

    let dashboard = dashboard();
    let mut asked = 0;
    for target in list(&dashboard, "panels").flat_map(|panel| list(panel, "targets")) {
        let query = target["expr"].as_str().unwrap();
        let found = prometheus.query(&filled(query));
        assert!(!found.is_empty(), "{query} finds nothing");
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        for label in legend.split("{{").skip(1).filter_map(|part| part.split("}}").next()) {
            let named = found.iter().filter(|series| series["metric"][label.trim()].is_string());
            assert_eq!(named.count(), found.len(), "{query}: the legend says {label}");
        }
        asked += 1;
    }
    assert!(asked > 15, "{asked}");
    let choices: BTreeMap<&str, &str> = list(&dashboard["templating"], "list")
        .filter_map(|variable| variable["query"].as_str()?.strip_prefix("label_values(")?.strip_suffix(')'))
        .filter_map(|arguments| arguments.rsplit_once(", "))
        .map(|(series, label)| (label, series))
        .collect();
    assert_eq!(choices.len(), 2, "{choices:?}");
    for (label, series) in choices {
        let values = prometheus.ask(&format!("label/{label}/values"), &[("match[]", &filled(series))]);
        assert_eq!(values.as_array().unwrap().len(), 1, "{label}: {values}");
    }
}
