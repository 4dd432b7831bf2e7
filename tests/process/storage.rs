//! An embedded database that cannot be written: locked by another process, on a full disk, or made read-only. The answer
//! is "unknown" for as long as that lasts, and nothing has to be restarted afterwards.

use std::path::Path;
use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::hurt::{ATTEMPTS, Hurt, PERSON, does, left_out};
use crate::service::SECRET;

/// A service whose database is in a folder of its own.
struct Embedded(Hurt);

impl std::ops::Deref for Embedded {
    type Target = Hurt;

    fn deref(&self) -> &Hurt {
        &self.0
    }
}

impl Embedded {
    /// Whoever limits the files of the service must let it survive the signal for that.
    fn start(strategy: &str, place: impl FnOnce(&Path) -> String) -> Self {
        let through = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
        Self(Hurt::start(strategy, &through, place))
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("kept/test.db")
    }

    fn assert_recovered(&self, label: &str) {
        let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
        let ask = |statement: &'static str| {
            runtime.block_on(async {
                let mut connection = connect(&self.path()).await;
                let found: String = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                found
            })
        };
        self.0.assert_recovered(label, || ask(ATTEMPTS));
        assert_eq!(ask("PRAGMA integrity_check"), "ok", "{label}");
    }
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// A folder for the database, below the service's.
fn plain(folder: &Path) -> String {
    format!("sqlite://{}/kept/test.db", folder.display())
}

#[test]
fn a_database_that_another_process_has_locked() {
    for strategy in ["jwt", "database"] {
        let embedded = Embedded::start(strategy, plain);
        let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
        let mut other = runtime.block_on(async {
            let mut other = connect(&embedded.path()).await;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            other
        });
        embedded.assert_unwritable(strategy);
        runtime.block_on(async {
            sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
            other.close().await.unwrap();
        });
        embedded.assert_recovered(strategy);
    }
}

/// A limit on the size of files, which anybody may set: a write fails as on a full disk.
#[test]
fn a_database_whose_files_may_not_grow() {
    if !does("prlimit", &["--version"]) {
        return left_out("prlimit is not installed: install Debian's package `util-linux`");
    }
    for strategy in ["jwt", "database"] {
        let embedded = Embedded::start(strategy, plain);
        let limit = |size: &str| {
            let process = embedded.service.child.id().to_string();
            assert!(does("prlimit", &["--pid", &process, &format!("--fsize={size}:")]), "prlimit");
        };
        limit("4096");
        embedded.assert_unwritable(strategy);
        limit("unlimited");
        embedded.assert_recovered(strategy);
    }
}

/// A file system of two megabytes.
struct Small(std::path::PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        does("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

#[test]
fn a_database_on_a_full_disk() {
    let mut mounted = None;
    let place = |folder: &Path| {
        let disk = folder.join("kept");
        std::fs::create_dir(&disk).unwrap();
        let target = disk.to_str().unwrap();
        if does("mount", &["-t", "tmpfs", "-o", "size=2m", "countersign-test", target]) {
            mounted = Some(Small(disk.clone()));
        }
        plain(folder)
    };
    let embedded = Embedded::start("database", place);
    let Some(disk) = mounted else {
        return left_out("a small file system cannot be mounted (only root may)");
    };
    let filler = disk.0.join("filler");
    for round in ["full", "full again"] {
        // Bytes until there is no room for another.
        let mut file = std::fs::File::create(&filler).unwrap();
        for size in [65536, 4096, 512, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        embedded.assert_unwritable(round);
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        if round == "full" {
            assert!(embedded.post("/api/auth/callback/credentials", "", PERSON).starts_with("HTTP/1.1 200"));
        }
    }
    embedded.assert_recovered("emptied");
    drop(embedded);
}

/// Made immutable under the running service, as a file system that turns read-only does.
#[test]
fn a_database_that_becomes_read_only() {
    let embedded = Embedded::start("database", plain);
    // Not the index beside them, which is shared memory: the kernel would kill whoever writes there.
    let files = ["test.db", "test.db-wal"].map(|name| embedded.folder.path().join("kept").join(name));
    let set = |mode: &str| files.iter().all(|file| does("chattr", &[mode, file.to_str().unwrap()]));
    if !set("+i") {
        set("-i");
        return left_out("files cannot be made immutable (only root may, and not on every file system)");
    }
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| embedded.assert_unwritable("immutable")));
    assert!(set("-i"));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    embedded.assert_recovered("writable again");
}

/// Somebody else's file: the service does not start, and says why in one line.
#[test]
fn a_database_that_may_not_be_written_at_all() {
    if !does("runuser", &["-u", "nobody", "--", "true"]) {
        return left_out("another user's view cannot be taken (only root may)");
    }
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("kept")).unwrap();
    let url = plain(folder.path());
    let variables = [("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_DATABASE_URL", url.as_str())];
    assert!(crate::service::run(folder.path(), &["migrate"], &variables).status.success());
    let folder_mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), folder_mode).unwrap();
    let file_mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("kept/test.db"), file_mode).unwrap();
    // The program itself may lie where nobody else may go.
    let program = folder.path().join("countersign");
    std::fs::copy(env!("CARGO_BIN_EXE_countersign"), &program).unwrap();
    let output = Command::new("runuser")
        .args(["-u", "nobody", "--", program.to_str().unwrap(), "serve"])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(variables)
        .output()
        .unwrap();
    let said = crate::service::said(&output);
    assert!(!output.status.success());
    assert!(said.contains("test.db cannot be opened"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
