//! A throwaway PostgreSQL.
//!
//! `COUNTERSIGN_TEST_POSTGRES` may name a server where databases can be made. Otherwise Debian's programs are used to start
//! a cluster of this process's own on a free port; it ends with the process, however that ends.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions as _, Connection as _};

static SERVER: OnceLock<Option<String>> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The URL of a fresh, empty database; `None` (and one line that says what to install) on a machine without PostgreSQL.
pub(crate) async fn fresh_database() -> Option<String> {
    let server = SERVER.get_or_init(start).as_ref()?;
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    Some(make_database(server, &name).await)
}

/// The URL of a new database on this server.
pub(crate) async fn make_database(server: &str, name: &str) -> String {
    let options: sqlx::postgres::PgConnectOptions = format!("{server}/postgres").parse().unwrap();
    let mut connection = connect(&options).await;
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    format!("{server}/{name}")
}

/// A server that has just been started listens before it answers.
async fn connect(options: &sqlx::postgres::PgConnectOptions) -> sqlx::PgConnection {
    for _ in 0..300 {
        match options.connect().await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    options.connect().await.unwrap()
}

fn start() -> Option<String> {
    if let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES") {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let Some(programs) = find_programs() else {
        let missing = "PostgreSQL is not installed: install Debian's package `postgresql`";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        writeln!(std::io::stderr(), "{missing}; the tests that need it are left out").ok();
        return None;
    };
    let cluster = Cluster::make(&programs, "shared", "-c fsync=off -c synchronous_commit=off");
    Some(cluster.server())
}

/// The newest version's folder of programs.
pub(crate) fn find_programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

/// A cluster of this process's own, on a free port. It ends with the process.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    pub(crate) folder: PathBuf,
    port: u16,
    settings: &'static str,
}

impl Cluster {
    /// Makes one and starts it.
    pub(crate) fn make(programs: &Path, name: &str, settings: &'static str) -> Self {
        let folder = std::env::temp_dir().join(format!("countersign-postgres-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if is_root() {
            // PostgreSQL refuses to run as root.
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { programs: programs.to_path_buf(), folder, port, settings };
        let initdb = cluster.shell(&format!(
            "'{}' -D data -U postgres -A trust -E UTF8 --no-locale >log 2>&1",
            cluster.programs.join("initdb").display()
        ));
        assert!(initdb.wait_with_output().unwrap().status.success(), "{}", cluster.log());
        cluster.start();
        cluster
    }

    /// Starts the server on its port and data, and returns when it listens.
    pub(crate) fn start(&self) {
        // It ends when this process does, even when that is killed.
        let mut child = self.shell(&format!(
            "'{server}' -D data -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
             -c max_connections=200 {settings} >>log 2>&1 & child=$!; \
             (while [ -d /proc/{parent} ]; do sleep 1; done; kill -QUIT $child; sleep 1; rm -rf '{folder}') \
             >/dev/null 2>&1 & wait $child",
            server = self.programs.join("postgres").display(),
            port = self.port,
            settings = self.settings,
            parent = std::process::id(),
            folder = self.folder.display(),
        ));
        // It ends after this process, so nobody else can wait for it.
        std::thread::spawn(move || child.wait());
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("PostgreSQL did not start: {}", self.log());
    }

    /// Its URL, without a database.
    pub(crate) fn server(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn shell(&self, script: &str) -> std::process::Child {
        let mut command = if is_root() { Command::new("runuser") } else { Command::new("sh") };
        if is_root() {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        let null = std::process::Stdio::null;
        command.args(["-c", script]).current_dir(&self.folder);
        command.stdin(null()).stdout(null()).spawn().unwrap()
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}
