//! A program of somebody else's that listens on a port of this machine, until it is dropped.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::service::{Address, CHEAP, SECRET, Service};

pub(crate) struct Listening {
    child: Child,
    pub(crate) address: Address,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Listening {
    /// Starts a program and waits until it listens on `port`. What it says goes to `log`, which tells why when it does not.
    pub(crate) fn start(command: &mut Command, port: u16, log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let listening = Self { child, address: Address { port } };
        for _ in 0..1500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return listening;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// A service, and a proxy before it that it trusts.
    pub(crate) fn before_a_service(
        folder: &Path,
        trusted: &str,
        before: impl FnOnce(u16, &Path) -> Self,
    ) -> (Service, Self) {
        let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_TRUSTED_PROXIES", trusted)];
        variables.extend(CHEAP);
        let service = Service::start(folder, &variables);
        let proxy = before(service.port, folder);
        (service, proxy)
    }
}
