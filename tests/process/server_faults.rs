//! A PostgreSQL that answers, and does not do what it is asked: read-only as after a failover, locked by another session, out of
//! connections, with rights taken away, or on a full disk. The answer is "unknown" for as long as that lasts.

use std::path::PathBuf;
use std::sync::OnceLock;

use rocket::tokio::runtime::Runtime;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::hurt::{ATTEMPTS, Hurt, RECOVERY, does, is_unknown, left_out};
use crate::postgres::{Cluster, find_programs};

/// The server that these tests share, and a user of it who may do no more than a site must.
struct Server {
    cluster: Cluster,
}

/// `None` where PostgreSQL is missing: the other tests have said what to install, and fail under CI.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let make = || {
        let cluster = Cluster::make(&find_programs()?, "faults", "-c fsync=off -c synchronous_commit=off");
        let server = Server { cluster };
        // It listens before it answers.
        Runtime::new().unwrap().block_on(crate::postgres::make_database(&server.cluster.server(), "first"));
        server.admin("postgres", "CREATE ROLE site LOGIN");
        Some(server)
    };
    SERVER.get_or_init(make).as_ref()
}

impl Server {
    fn url(&self, user: &str, database: &str) -> String {
        self.cluster.server().replace("postgres@", &format!("{user}@")) + "/" + database
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url("postgres", database).parse().unwrap();
        options.connect().await.unwrap()
    }

    /// What only whoever runs the server may do. Statements of their own acts are separated by `;;`.
    fn admin(&self, database: &str, statements: &str) {
        Runtime::new().unwrap().block_on(async {
            let mut connection = self.connect(database).await;
            for statement in statements.split(";;") {
                sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
            }
            connection.close().await.unwrap();
        });
    }

    fn ask(&self, database: &str, query: &'static str) -> String {
        Runtime::new().unwrap().block_on(async {
            let mut connection = self.connect(database).await;
            let found = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            found
        })
    }

    /// A service with a database of its own, which belongs to that user.
    fn serve(&self, strategy: &str, database: &str, place: &str) -> Hurt {
        self.admin("postgres", &format!("CREATE DATABASE {database} OWNER site {place}"));
        Hurt::start(strategy, &[], |_| self.url("site", database))
    }
}

/// Hurts the database of a service by some statements, and mends it by others; both are run in it.
fn hurt_and_mend(name: &str, hurt: &str, mend: &str) {
    let Some(server) = server() else { return };
    for strategy in ["jwt", "database"] {
        let database = format!("{name}_{strategy}");
        let (hurt, mend) = (hurt.replace("{database}", &database), mend.replace("{database}", &database));
        let service = server.serve(strategy, &database, "");
        server.admin(&database, &hurt);
        service.assert_unwritable(&database);
        server.admin(&database, &mend);
        service.assert_recovered(&database, || server.ask(&database, ATTEMPTS));
    }
}

/// Ends every connection of the site, as a restarted server or a balancer between does.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = '{database}' AND usename = 'site'";

/// As after a failover to a server that only follows.
#[test]
fn a_server_that_becomes_read_only() {
    hurt_and_mend(
        "read_only",
        &format!("ALTER DATABASE {{database}} SET default_transaction_read_only = on;;{CUT}"),
        &format!(
            "SET default_transaction_read_only = off;; \
             ALTER DATABASE {{database}} RESET default_transaction_read_only;;{CUT}"
        ),
    );
}

/// No connection is left for the site: those it had were cut, and others took their place.
#[test]
fn a_server_with_no_connection_left() {
    hurt_and_mend(
        "exhausted",
        &format!("ALTER DATABASE {{database}} CONNECTION LIMIT 0;;{CUT}"),
        "ALTER DATABASE {database} CONNECTION LIMIT -1",
    );
}

/// Somebody tidied up the rights of the site's user.
#[test]
fn a_user_whose_rights_are_taken_away() {
    hurt_and_mend(
        "revoked",
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM site",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO site",
    );
}

/// A session that an administrator left open, or a migration that takes long: every table is locked, for writing or
/// for everything. Requests wait, each for the configured time, and take every connection of the pool with them.
#[test]
fn tables_that_another_session_has_locked() {
    let Some(server) = server() else { return };
    for (strategy, mode) in
        [("jwt", "EXCLUSIVE"), ("database", "EXCLUSIVE"), ("database", "ACCESS EXCLUSIVE")]
    {
        let database = format!("locked_{strategy}_{}", mode.split(' ').count());
        let service = server.serve(strategy, &database, "");
        let runtime = Runtime::new().unwrap();
        let tables = server.ask(
            &database,
            "SELECT string_agg(tablename::text, ', ') FROM pg_tables WHERE schemaname = 'public'",
        );
        let mut other = runtime.block_on(server.connect(&database));
        let lock = format!("BEGIN; LOCK TABLE {tables} IN {mode} MODE");
        runtime.block_on(sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other)).unwrap();
        service.assert_unwritable(&database);
        runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut other)).unwrap();
        runtime.block_on(other.close()).unwrap();
        service.assert_recovered(&database, || server.ask(&database, ATTEMPTS));
    }
}

/// A file system of a few megabytes for the database, while the server's own files have room.
struct Small(PathBuf);

impl Small {
    fn mount(server: &Server) -> Option<Self> {
        let place = server.cluster.folder.join("small");
        std::fs::create_dir(&place).unwrap();
        let target = place.to_str().unwrap();
        let disk = does("mount", &["-t", "tmpfs", "-o", "size=24m", "countersign-test", target])
            .then_some(Self(place.clone()))?;
        assert!(does("chown", &["postgres", target]));
        Some(disk)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        does("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

/// What fits into the pages there are is still written, and the next page is not: answers are right or "unknown", and
/// what was answered is there afterwards.
#[test]
fn a_server_on_a_full_disk() {
    let Some(server) = server() else { return };
    let Some(disk) = Small::mount(server) else {
        return left_out("a small file system cannot be mounted (only root may)");
    };
    server.admin("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display()));
    let service = server.serve("database", "on_full_disk", "TABLESPACE small");
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    for size in [65536, 4096, 512, 1] {
        while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
    }
    let (mut made, mut unknown) = (Vec::new(), 0);
    for number in 0.. {
        assert!(number < 2000, "the disk is full, and {} accounts were made", made.len());
        let person = format!("email=p{number}%40example.com&password=correct+horse+battery&json=true");
        let answer = service.post("/api/auth/signup", "", &person);
        if answer.starts_with("HTTP/1.1 200") {
            made.push(person);
        } else {
            assert!(is_unknown(&answer), "{answer}");
            unknown += 1;
        }
        if unknown > 20 {
            break;
        }
    }
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    let since = std::time::Instant::now();
    for person in made.iter().rev().take(20) {
        let enter = || service.post("/api/auth/callback/credentials", "", person);
        while !enter().starts_with("HTTP/1.1 200") {
            assert!(since.elapsed() < RECOVERY, "{}", enter());
        }
    }
    let kept = server.ask("on_full_disk", "SELECT count(*)::text FROM users");
    assert_eq!(kept, (made.len() + 1).to_string(), "every account that was answered, and no other");
    drop(service);
    server.admin("postgres", "DROP DATABASE on_full_disk WITH (FORCE);;DROP TABLESPACE small");
}
