//! Requests per second: one core serves, the other asks.
//!
//! The services run one after the other in every round, each pinned to the first core, with one worker; `wrk` has the
//! second. What is compared is asked one right after the other, in every second round the other way round, and the table
//! shows the median of the rounds' ratios, so that a machine with other work to do disturbs both sides alike.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStdout, Command, Stdio};

use crate::app::{Setup, enter};
use crate::{Owned, fill, on_one_worker, postgres, say};

/// Sessions in the table of the cold measurement; as many of them as the cache of verified sessions could never hold
/// within its bound are asked for in turn.
const ROWS: u64 = 1_000_000;
const ASKED: u64 = 200_000;

/// What stands before the `Cookie` header of somebody signed in, on a line of the measured process.
const COOKIE: &str = "cookie: ";

/// Up to version 2.39 the C library copies what is longer than 2 to 4 KB by an instruction that on AMD's Zen 3 is up to twenty
/// times slower for some addresses than for others (glibc bug 30994), and Rocket moves every request's task of 6 KB several
/// times: which of two routes looks faster is then a matter of where their memory happens to lie. A peer is started by
/// its user, who can set the same.
const COPIES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1048576");

struct Options {
    rounds: usize,
    seconds: usize,
    connections: usize,
    cold: bool,
    peers: Vec<(String, String, String)>,
}

/// A service that runs as long as this value lives.
struct Service {
    child: Owned,
    /// Kept open: the service may say more than the line that is read.
    _said: BufReader<ChildStdout>,
    name: String,
    url: String,
    cookie: String,
}

/// One line of the table.
struct Line {
    name: String,
    url: String,
    cookie: String,
    script: Option<String>,
    /// Which line it is compared with.
    base: Option<usize>,
    measured: Vec<Measured>,
    /// To the requests per second of what it is compared with, and of its cost to the line's, two ratios a round.
    ratios: Vec<[f64; 2]>,
    /// What answers, if it is one of ours.
    process: Option<u32>,
}

#[derive(Clone, Copy)]
struct Measured {
    per_second: f64,
    p50: f64,
    p99: f64,
    /// Microseconds on a processor for one request, the kernel's share included.
    cost: f64,
    failed: bool,
}

/// Runs everything and prints the table.
pub(crate) fn report(arguments: &[&str]) {
    let options = parse(arguments);
    for (program, package) in [("wrk", "wrk"), ("taskset", "util-linux")] {
        if Command::new(program).arg("--version").output().is_err() {
            say(&format!("{program} is not installed (Debian: apt-get install {package})"));
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (services, mut lines) = start(&options, folder.path());
    let mut after = Vec::new();
    for round in 1..=options.rounds {
        let asked =
            |line| measure(line, line.base.and_then(|base| lines.get(base)), round % 2 == 0, &options);
        let told: Vec<_> = lines.iter().map(asked).collect();
        for (line, (measured, ratio)) in lines.iter_mut().zip(told) {
            line.measured.push(measured);
            line.ratios.extend(ratio);
        }
        say(&format!("round {round} of {} is done", options.rounds));
    }
    for service in &services {
        after.push((service.name.clone(), resident(service.child.0.id())));
    }
    print(&lines, &options);
    say("\n| service | resident after the load |\n| --- | ---: |");
    for (name, memory) in after {
        say(&format!("| {name} | {memory:.1} MB |"));
    }
}

fn parse(arguments: &[&str]) -> Options {
    let mut options = Options { rounds: 5, seconds: 2, connections: 16, cold: true, peers: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || (*rest.next().unwrap_or_else(|| panic!("{name} wants a value"))).to_owned();
        match *name {
            "--rounds" => options.rounds = value().parse().unwrap(),
            "--seconds" => options.seconds = value().parse().unwrap(),
            "--connections" => options.connections = value().parse().unwrap(),
            "--without-cold" => options.cold = false,
            // A peer that runs already: its name, its URL and the `Cookie` header of somebody signed in there, or
            // `@` and a file of such headers, a line each, to be sent in turn.
            "--peer" => options.peers.push((value(), value(), value())),
            _ => panic!("--rounds N --seconds N --connections N --without-cold --peer NAME URL COOKIE"),
        }
    }
    options
}

fn start(options: &Options, folder: &std::path::Path) -> (Vec<Service>, Vec<Line>) {
    let server =
        on_one_worker(async { (postgres::fresh_database().await, postgres::fresh_database().await) });
    let sqlite = |name: &str| format!("sqlite://{}", folder.join(format!("{name}.db")).display());
    let mut wanted = vec![
        ("JWT nextauth-v3, SQLite", "jwt", "nextauth-v3", sqlite("v3"), 0),
        ("JWT nextauth-v3-encrypted, SQLite", "jwt", "nextauth-v3-encrypted", sqlite("v3e"), 0),
        ("JWT nextauth-v4, SQLite", "jwt", "nextauth-v4", sqlite("v4"), 0),
        ("JWT authjs-v5, SQLite", "jwt", "authjs-v5", sqlite("v5"), 0),
        ("database, SQLite", "database", "nextauth-v3", sqlite("database"), 0),
    ];
    if let (Some(one), Some(two)) = server {
        wanted.push(("JWT nextauth-v3, PostgreSQL", "jwt", "nextauth-v3", one, 0));
        wanted.push(("database, PostgreSQL", "database", "nextauth-v3", two, 0));
    }
    if options.cold {
        wanted.push((
            "database, SQLite, every request another session",
            "database",
            "nextauth-v3",
            sqlite("cold"),
            ROWS,
        ));
    }
    let (mut services, mut lines) = (Vec::new(), Vec::new());
    for (name, strategy, format, database, rows) in wanted {
        let cookies = folder.join("cookies.txt");
        let service = Service::start(name, strategy, format, &database, rows, &cookies);
        let mut add = |name: &str, path: &str, script: Option<String>, base: Option<usize>| {
            let (url, cookie) = (format!("{}{path}", service.url), service.cookie.clone());
            lines.push(Line {
                name: name.to_owned(),
                url,
                cookie,
                script,
                base,
                measured: Vec::new(),
                ratios: Vec::new(),
                process: Some(service.child.0.id()),
            });
            lines.len() - 1
        };
        let open = add("the same route unguarded, the same answer", "/open", None, None);
        if rows == 0 {
            add(&format!("`Session`: {name}"), "/session", None, Some(open));
        } else {
            let script = folder.join("cold.lua");
            std::fs::write(&script, lua(&cookies)).unwrap();
            add(&format!("`Session`: {name}"), "/session", Some(script.display().to_string()), Some(open));
        }
        if format == "nextauth-v3" && strategy == "jwt" && database.starts_with("sqlite") {
            add("a route without even the headers", "/bare", None, Some(open));
            add("`OptionalSession`", "/optional", None, Some(open));
            add("`Token`", "/token", None, Some(open));
            let json = add("a JSON route of the same body, unguarded", "/json", None, None);
            add("`GET /api/auth/session`", "/api/auth/session", None, Some(json));
            let dressed = add("the JSON route with the same headers, unguarded", "/json-dressed", None, None);
            add("`GET /api/auth/session`", "/api/auth/session", None, Some(dressed));
            let page = add("a template with a ready context", "/page-ready", None, None);
            add("the same page behind `Session`", "/page", None, Some(page));
            add("the same behind `Session`, another page each time", "/page-fresh", None, Some(page));
            let fixed = add("a static page of the same size", "/page-static", None, None);
            add("the page behind `Session`", "/page", None, Some(fixed));
        }
        service.get("/page-prepare");
        services.push(service);
    }
    for (name, url, cookie) in &options.peers {
        let script = cookie.strip_prefix('@').map(|file| {
            let script = folder.join(format!("peer{}.lua", lines.len()));
            std::fs::write(&script, lua(file.as_ref())).unwrap();
            script.display().to_string()
        });
        let (name, url, cookie) = (format!("peer: {name}"), url.clone(), cookie.clone());
        lines.push(Line {
            name,
            url,
            cookie,
            script,
            base: None,
            measured: Vec::new(),
            ratios: Vec::new(),
            process: None,
        });
    }
    (services, lines)
}

impl Service {
    fn start(
        name: &str,
        strategy: &str,
        format: &str,
        database: &str,
        rows: u64,
        cookies: &std::path::Path,
    ) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(std::env::current_exe().unwrap())
            .args(["load", "serve", strategy, format, database, &port.to_string(), &rows.to_string()])
            .arg(cookies)
            .env(COPIES.0, COPIES.1)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let cookie = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
            // A database may have had something to say first.
            Some(line.strip_prefix(COOKIE)?.to_owned())
        });
        let cookie = cookie.unwrap_or_else(|| panic!("{name} did not start"));
        let url = format!("http://127.0.0.1:{port}");
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self { child: Owned(child), _said: said, name: name.to_owned(), url, cookie }
    }
}

impl Service {
    /// Asks once.
    fn get(&self, path: &str) {
        let address = self.url.trim_start_matches("http://");
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.cookie
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}

/// The measured process: fills the table if it is to be large, signs somebody in, says so, and serves.
pub(crate) fn serve(arguments: &[&str]) {
    let [strategy, format, database, port, rows, cookies] = arguments else {
        panic!("strategy, format, database, port, rows, cookies");
    };
    let setup = Setup {
        database_url: (*database).to_owned(),
        strategy: (*strategy).to_owned(),
        format: (*format).to_owned(),
        port: port.parse().unwrap(),
    };
    on_one_worker(async {
        let store = setup.store().await;
        store.migrate().await.unwrap();
        let rows: u64 = rows.parse().unwrap();
        if rows > 0 {
            fill::sessions(database, 0, rows - ASKED).await;
            let asked = fill::known_sessions(database, ASKED).await;
            std::fs::write(cookies, asked.join("\n")).unwrap();
        }
        let rocket = setup.rocket(store.clone()).ignite().await.unwrap();
        say(&format!("{COOKIE}{}", enter(&rocket, &*store, 3).await));
        rocket.launch().await.unwrap();
    });
}

/// Takes the cookies of a file in turn.
fn lua(cookies: &std::path::Path) -> String {
    format!(
        "local all = {{}}\nfor line in io.lines('{}') do all[#all + 1] = line end\nlocal at = 0\n\
         request = function()\n  at = at % #all + 1\n  \
         return wrk.format('GET', nil, {{ ['Cookie'] = all[at] }})\nend\n",
        cookies.display()
    )
}

/// Asks for a line; for one that is compared with another, a moment before or after that one.
fn measure(
    line: &Line,
    base: Option<&Line>,
    own_first: bool,
    options: &Options,
) -> (Measured, Option<[f64; 2]>) {
    let first = own_first.then(|| ask(line, options));
    let base = base.map(|base| ask(base, options));
    let own = first.unwrap_or_else(|| ask(line, options));
    (own, base.map(|base| [own.per_second / base.per_second, base.cost / own.cost]))
}

fn ask(line: &Line, options: &Options) -> Measured {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "wrk", "-t1", "--latency"]);
    command.arg(format!("-c{}", options.connections)).arg(format!("-d{}s", options.seconds));
    match &line.script {
        Some(script) => command.args(["-s", script]),
        None => command.args(["-H", &format!("Cookie: {}", line.cookie)]),
    };
    let before = line.process.map(processor_time);
    let output = command.arg(&line.url).output().unwrap();
    let spent =
        line.process.map(processor_time).zip(before).map_or(f64::NAN, |(after, before)| after - before);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |mark: &str| {
        let found = told.lines().find_map(|line| line.trim().strip_prefix(mark));
        found.unwrap_or_else(|| panic!("{}: {told}", line.url)).trim().to_owned()
    };
    let answered = told.lines().find_map(|line| line.split_once(" requests in ")).map(|(count, _)| count);
    Measured {
        cost: spent * 1e6 / answered.unwrap_or_default().trim().parse::<f64>().unwrap(),
        per_second: after("Requests/sec:").parse().unwrap(),
        p50: milliseconds(&after("50%")),
        p99: milliseconds(&after("99%")),
        failed: told.contains("Non-2xx"),
    }
}

/// Seconds that a process was on a processor, all its threads together (`proc_pid_stat(5)`: fields 14 and 15, in hundredths).
/// What the machine's other guests take is not among them.
fn processor_time(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let (_, after_name) = stat.rsplit_once(')').unwrap_or_default();
    let times = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    times.sum::<f64>() / 100.0
}

fn milliseconds(text: &str) -> f64 {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap());
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        _ => 1000.0,
    };
    number.parse::<f64>().unwrap() * factor
}

/// Megabytes that a process has in memory.
pub(crate) fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
}

fn print(lines: &[Line], options: &Options) {
    let Options { rounds, seconds, connections, .. } = options;
    say(&format!("\nmedians of {rounds} rounds of {seconds} s, {connections} connections\n"));
    say("| route | requests/s | p50 ms | p99 ms | CPU µs | ratio (half of the rounds) | by CPU µs |");
    say("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for line in lines {
        let of = |get: fn(&Measured) -> f64| median(line.measured.iter().map(get).collect());
        let ratio = |which: fn(&[f64; 2]) -> f64| {
            line.base.map(|_| middle_half(line.ratios.iter().map(which).collect())).unwrap_or_default()
        };
        let (ratio, by_cost) = (ratio(|pair| pair[0]), ratio(|pair| pair[1]));
        let failed = if line.measured.iter().any(|one| one.failed) { " (failures!)" } else { "" };
        let [per_second, cost] = [of(|m| m.per_second), of(|m| m.cost)];
        let [p50, p99] = [of(|m| m.p50), of(|m| m.p99)];
        say(&format!(
            "| {}{failed} | {per_second:.0} | {p50:.2} | {p99:.2} | {cost:.1} | {ratio} | {by_cost} |",
            line.name
        ));
    }
}

/// The middle one, and between what half of them lie.
fn middle_half(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get(values.len() * quarter / 4).copied().unwrap_or_default();
    format!("{:.3} ({:.2} to {:.2})", at(2), at(1), at(3))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
