//! What whoever runs the service sees of it: metrics, lines of the log, the audit log, and the files in `deploy/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::service::{
    Address, CHEAP, SECRET, Service, cookies, csrf, free_port, program, run, said, sign_in,
};

pub(crate) fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// A service with metrics, and the address they are at.
pub(crate) fn monitored(folder: &Path) -> (Service, Address) {
    let address = Address { port: free_port() };
    let listen = format!("127.0.0.1:{}", address.port);
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_METRICS", listen.as_str())];
    variables.extend(CHEAP);
    (Service::start(folder, &variables), address)
}

/// Something of everything that is counted.
pub(crate) fn use_it(service: &Address) {
    let session = sign_in(service);
    let cookie = format!("Cookie: {session}\r\n");
    assert!(service.get("/api/get-session-example", &cookie).starts_with("HTTP/1.1 200"));
    assert!(service.get("/api/get-session-example", "").starts_with("HTTP/1.1 401"));
    let first = service.get("/api/auth/csrf", "");
    let (jar, token) = (cookies(&first), csrf(&first));
    let wrong = format!("csrfToken={token}&email=ada%40example.com&password=hunter2hunter2&json=true");
    assert!(service.post("/api/auth/callback/credentials", &jar, &wrong).starts_with("HTTP/1.1 401"));
    service.post("/api/auth/signout", &jar, "csrfToken=wrong");
    service.post("/api/auth/signout", &format!("{jar}; {session}"), &format!("csrfToken={token}"));
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(&format!("{series} ")));
    let line = line.unwrap_or_else(|| panic!("{series} is not in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn metrics_are_counted_on_a_listener_of_their_own() {
    let folder = TempDir::new().unwrap();
    let (service, metrics) = monitored(folder.path());
    use_it(&service);
    let answer = metrics.get("/metrics", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
    for (series, expected) in [
        ("countersign_sign_ins_total{method=\"pwd\",outcome=\"success\"}", 1.0),
        ("countersign_sign_ins_total{method=\"pwd\",outcome=\"refused\"}", 1.0),
        ("countersign_requests_total{class=\"application\",status=\"200\"}", 1.0),
        ("countersign_requests_total{class=\"application\",status=\"401\"}", 1.0),
        ("countersign_audit_events_total{event=\"csrf.refused\",outcome=\"refused\"}", 1.0),
        ("countersign_audit_events_total{event=\"sign_up.succeeded\",outcome=\"success\"}", 1.0),
        ("countersign_sessions_issued_total", 1.0),
        ("countersign_sessions_revoked_total", 1.0),
        ("countersign_revocations", 1.0),
        ("countersign_audit_lost_total", 0.0),
        ("countersign_letters_total{outcome=\"sent\"}", 1.0),
        ("countersign_letters_total{outcome=\"lost\"}", 0.0),
        ("countersign_hashing{state=\"running\"}", 0.0),
        ("countersign_request_duration_seconds_count{route=\"/api/auth/callback/credentials\"}", 2.0),
    ] {
        // The gauge of revocations follows within a second, and a letter is sent when the answer is out.
        let follows = series == "countersign_revocations" || series.contains("letters");
        let mut found = value(&metrics.get("/metrics", ""), series);
        for _ in 0..100 {
            if !follows || (found - expected).abs() < 0.5 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            found = value(&metrics.get("/metrics", ""), series);
        }
        assert!((found - expected).abs() < 0.5, "{series} is {found}");
    }
    assert!(value(&answer, "countersign_store_call_duration_seconds_count{outcome=\"ok\"}") > 5.0);
    assert!(
        answer.contains(&format!("countersign_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")))
    );

    // Nothing else is there, and nothing of it on the site's own listener.
    assert!(metrics.get("/", "").starts_with("HTTP/1.1 404"));
    assert!(metrics.get("/api/auth/csrf", "").starts_with("HTTP/1.1 404"));
    assert!(metrics.post("/metrics", "", "x=1").starts_with("HTTP/1.1 405"));
    assert!(!service.get("/metrics", "").contains("countersign_"));
    for hostile in
        [b"\r\n\r\n".as_slice(), b"\xff\xff\xff\xff\r\n\r\n", b"GET /metrics HTTP/1.1\r\nA: \x00\r\n\r\n"]
    {
        metrics.exchange(hostile);
    }
    assert!(metrics.get("/metrics", "").starts_with("HTTP/1.1 200"), "it goes on");
    // A stranger's paths and names make no series.
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(&metrics.get("/metrics", ""));
    for number in 0..50 {
        service.get(&format!("/nowhere/{number}"), "");
        service.get(&format!("/api/auth/signin/{number}?x={number}"), "");
    }
    let after = series(&metrics.get("/metrics", ""));
    assert!(after <= before + 16, "{before} {after}");
}

#[test]
fn without_the_key_nobody_listens_and_a_taken_address_stops_the_start() {
    let folder = TempDir::new().unwrap();
    let (service, _) = monitored(folder.path());
    assert_eq!(service.listening(), 2, "the control: the site and the metrics");
    drop(service);
    let service = Service::start(folder.path(), &[("COUNTERSIGN_SECRET", SECRET)]);
    assert_eq!(service.listening(), 1, "the site alone");
    drop(service);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (port, secret) = (free_port().to_string(), ("COUNTERSIGN_SECRET", SECRET));
    let variables = [secret, ("COUNTERSIGN_METRICS", address.as_str()), ("ROCKET_PORT", &port)];
    let output = run(folder.path(), &["serve"], &variables);
    assert!(!output.status.success());
    assert!(said(&output).contains(&format!("metrics cannot be served at {address}")), "{}", said(&output));
    let output = run(folder.path(), &["check"], &[secret, ("COUNTERSIGN_METRICS", "9464")]);
    assert!(said(&output).contains("`auth.metrics` is"), "{}", said(&output));
}

/// Every query of the dashboard asks for what `/metrics` really has, label by label.
#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(deploy("grafana-dashboard.json")).unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    let (service, metrics) = monitored(folder.path());
    use_it(&service);
    let exposed = metrics.get("/metrics", "");
    let mut ids = BTreeSet::new();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels of one id");
        let position = &panel["gridPos"];
        assert!(position["x"].as_u64().unwrap() + position["w"].as_u64().unwrap() <= 24, "{panel}");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert!(panel["type"] == "row" || !targets.is_empty(), "{panel}");
        queries.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        queries.extend(variable["query"].as_str().filter(|query| query.contains('(')).map(str::to_owned));
    }
    assert!(queries.len() > 15);
    let mut asked = BTreeSet::new();
    for query in &queries {
        assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
        for (metric, labels) in selectors(query) {
            let has = |line: &&str| {
                line.starts_with(&metric)
                    && [" ", "{"].iter().any(|end| line[metric.len()..].starts_with(end))
            };
            let lines: Vec<&str> = exposed.lines().filter(has).collect();
            assert!(!lines.is_empty(), "{metric} of {query} is not exposed");
            for label in labels.iter().filter(|label| !["job", "instance"].contains(&label.as_str())) {
                assert!(lines.iter().any(|line| line.contains(&format!("{label}=\""))), "{metric}: {label}");
            }
            asked.insert(metric);
        }
    }
    // Nothing is counted that nobody looks at.
    for line in exposed.lines().filter(|line| line.starts_with("# TYPE ")) {
        let metric = line.split(' ').nth(2).unwrap();
        assert!(asked.iter().any(|asked| asked.starts_with(metric)), "{metric} is on no panel");
    }
}

/// The metrics of a query, and the labels each is selected by.
fn selectors(query: &str) -> Vec<(String, Vec<String>)> {
    let parts = query.split("countersign_").skip(1);
    parts
        .map(|part| {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let selected = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            let labels = selected.split(',').filter_map(|pair| pair.split(['=', '!']).next());
            let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned).collect();
            (format!("countersign_{name}"), labels)
        })
        .collect()
}

// ASVS: 16.4.2
#[test]
fn the_audit_log_is_listed_and_verified_from_the_command_line() {
    let folder = TempDir::new().unwrap();
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(CHEAP);
    let log = folder.path().join("log");
    let port = free_port().to_string();
    variables.extend([("ROCKET_PORT", port.as_str()), ("COUNTERSIGN_LOG_FORMAT", "json")]);
    let mut command = program(folder.path(), &["serve"], &variables);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut service = Service::spawn(command, port.parse().unwrap());
    use_it(&service);
    // The process is told to stop within the second in which refusals wait: they are written first.
    assert!(service.signal("TERM").success());
    let command = |arguments: &[&str]| run(folder.path(), arguments, &variables);
    assert!(command(&["user", "disable", "ada@example.com"]).status.success());

    let listed = command(&["audit", "list"]);
    assert!(listed.status.success(), "{}", said(&listed));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let records: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: BTreeSet<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    for event in [
        "sign_up.succeeded",
        "sign_in.succeeded",
        "sign_in.failed",
        "session.signed_out",
        "csrf.refused",
        "access.refused",
        "user.disabled",
    ] {
        assert!(events.contains(event), "{event}: {listed}");
    }
    // The very records, by their hash, are lines of the service's log, and every line is JSON.
    let lines = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for record in records.iter().filter(|record| record["event"] != "user.disabled") {
        let line = lines.iter().find(|line| line["fields"]["hash"] == record["hash"]).unwrap();
        assert_eq!(line["fields"]["event"], record["event"]);
        assert_eq!(line["fields"]["at"], record["time"]);
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
    }
    let of_ada = said(&command(&["audit", "list", "--user", "ada@example.com", "--since", "2020-01-31"]));
    assert!(of_ada.contains("sign_in.succeeded") && !of_ada.contains("csrf.refused"), "{of_ada}");
    assert_eq!(said(&command(&["audit", "list", "--since", "2100-01-01T00:00:00Z"])), "");
    assert!(said(&command(&["audit", "list", "--since", "yesterday"])).contains("2026-01-31"));

    let whole = command(&["audit", "verify"]);
    assert!(whole.status.success(), "{}", said(&whole));
    let noted = said(&whole).trim().rsplit(' ').next().unwrap().to_owned();
    assert!(command(&["audit", "verify", "--noted", &noted]).status.success());
    let other = format!("{}:{}", noted.split(':').next().unwrap(), "0".repeat(64));
    assert!(!command(&["audit", "verify", "--noted", &other]).status.success());
    for (statement, expected) in [
        ("UPDATE audit_records SET address = '192.0.2.9' WHERE sequence = 2", "record 2 was altered"),
        ("DELETE FROM audit_records WHERE sequence = 2", "record 2 is missing"),
    ] {
        alter(folder.path(), statement);
        let output = command(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

fn alter(folder: &Path, statement: &'static str) {
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}/data/countersign.db", folder.display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

/// systemd reads the unit without a complaint, and finds it well locked up.
#[test]
fn the_unit_is_one_that_systemd_takes() {
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).output();
    if analyze(&["--version"]).is_err() {
        let missing = "systemd is not installed: install Debian's package `systemd`";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        return std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("{missing}; a test is left out\n").as_bytes(),
        )
        .unwrap();
    }
    // The program is not installed here; everything else is as it is deployed.
    let folder = TempDir::new().unwrap();
    let unit = std::fs::read_to_string(deploy("countersign.service")).unwrap();
    let path = folder.path().join("countersign.service");
    std::fs::write(&path, unit.replace("/usr/local/bin/countersign", env!("CARGO_BIN_EXE_countersign")))
        .unwrap();
    let path = path.to_str().unwrap();
    let output = analyze(&["verify", "--man=no", path]).unwrap();
    let text = said(&output);
    let complaints: Vec<&str> = text.lines().filter(|line| line.contains("countersign.service")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{text}");
    let output = analyze(&["security", "--offline=true", "--threshold=20", path]).unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// No container is built here; but what the Dockerfile takes is there, and what it sets starts the program.
#[test]
fn the_image_has_what_it_copies_and_its_settings_serve() {
    let text = std::fs::read_to_string(deploy("Dockerfile")).unwrap();
    let joined = text.replace("\\\n", " ");
    let after = |word: &str| joined.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    assert!(text.contains("cargo build --release --locked --bin countersign"));
    assert!(text.contains("COPY --from=build /source/target/release/countersign "));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let left_out = std::fs::read_to_string(deploy("Dockerfile.dockerignore")).unwrap();
    let left_out: Vec<&str> = left_out.lines().collect();
    for needed in ["Cargo.toml", "Cargo.lock", "src", "migrations", "templates", "static", "benches"] {
        assert!(root.join(needed).exists() && !left_out.contains(&needed), "{needed}");
    }
    // The compiler is new enough for the package.
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let minor =
        |text: &str| text.split("1.").nth(1).and_then(|rest| rest.get(..2)?.parse::<u32>().ok()).unwrap();
    let asked = manifest.lines().find(|line| line.starts_with("rust-version")).unwrap();
    assert!(minor(after("FROM rust:")) >= minor(asked));

    let folder = TempDir::new().unwrap();
    let data = format!("sqlite://{}/", folder.path().display());
    let pairs = after("ENV ").split_whitespace().map(|pair| pair.split_once('=').unwrap());
    let settings: Vec<(&str, String)> =
        pairs.map(|(name, value)| (name, value.replace("sqlite:///data/", &data))).collect();
    assert!(settings.iter().any(|(_, value)| value.starts_with(&data)), "the control: the volume");
    let mut variables: Vec<(&str, &str)> = settings
        .iter()
        .filter(|(name, _)| *name != "ROCKET_PORT")
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    variables.extend([("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_URL", "https://app.example.com")]);
    let mut service = Service::start(folder.path(), &variables);
    assert!(service.get("/readyz", "").starts_with("HTTP/1.1 200"));
    assert!(folder.path().join("countersign.db").exists());
    let signal = after("STOPSIGNAL SIG");
    assert!(service.signal(signal).success(), "{signal}");
}
